/*
 * The fan-out kernel: frames in, protected RTP out to every viewer, without Python.
 *
 * One translation unit, joined by build_kernel.py in the order of its list; this file first.
 *
 * Threads: a shard is a pthread that owns its viewers. Whatever happens to a viewer (media, RTX,
 * RTCP, a new path, its end) happens in its shard; other threads only queue commands. Frames are
 * pushed by any thread into a stream's ring and read by the shards by reference.
 *
 * Locks: one mutex per stream around its ring and one per shard around its command queue, both
 * held for well under a microsecond, never together, never across a system call but free().
 * Counters that other threads read are written by one thread only, relaxed.
 *
 * Nonces: a packet's SRTP index is reserved when the first packet of its frame is protected and
 * stands for that packet for ever. A packet that did not fit into the socket is protected again
 * from the same plaintext, which gives the same bytes; an index never protects two plaintexts.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA1_*: the only HMAC that can be resumed without malloc */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<intel-ipsec-mb.h>)
#include <intel-ipsec-mb.h>
#define LP_WITH_IPSEC_MB 1
#endif
#endif

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define LP_PAYLOAD_MAX 1172    /* with header and tag, a UDP payload of 1,200 bytes */
#define LP_PACKETS_MAX 4096    /* of one frame */
#define LP_PACKET_ROOM 1232    /* and a header extension: an IPv6 packet of 1,280 bytes */
#define LP_RTCP_MAX 1180
#define LP_GSO_MAX 8           /* packets of a message, and of a viewer's turn */
#define LP_BATCH_MESSAGES 128
#define LP_BATCH_TURNS 64      /* messages of a batch that may still grow by a turn */
#define LP_BATCH_BYTES 131072  /* stays in the second-level cache */
#define LP_SHARDS_MAX 64
#define LP_NACKS_MAX 512       /* sequence numbers of one command */
#define LP_QUEUE_MAX 16384     /* commands beyond which NACK and RTCP are refused */
#define LP_SEGMENTS 16
#define LP_RECENT 64
#define LP_HISTORY_NS 2000000000ll /* kept for RTX besides the current GOP */
#define LP_PUMP_NS 4000000 /* sending before a look at what else there is to do */
#define LP_ERRNOS 134
#define LP_DELAY_BUCKETS 10
#define LP_CNAME_MAX 63
#define LP_MS 1000000ll
#define LP_SECOND 1000000000ll
#define LP_NONE UINT64_MAX
#define LP_UNKNOWN INT64_MIN

/* ---- what Python sees (repeated in build_kernel.py) ------------------------------------------- */

enum { LP_CRYPTO_AUTO, LP_CRYPTO_EVP, LP_CRYPTO_NONE };
enum { LP_START_KEYFRAME, LP_START_LIVE };

typedef struct {
    int video;
    uint32_t clock_hz;
    uint32_t ssrc;
    uint32_t timestamp_offset;
    uint32_t rtx_ssrc;
    uint16_t first_sequence;
    uint16_t rtx_first_sequence;
    uint8_t payload_type;
    uint8_t rtx_payload_type; /* 0: no RTX */
    uint8_t capture_id;       /* 0: no abs-capture-time */
} lp_track_spec;

typedef struct {
    int fd;
    int family; /* 0: connected, 4, 6 */
    uint8_t address[16];
    uint16_t port;
    uint32_t scope;
} lp_path_spec;

typedef struct {
    int profile; /* DTLS-SRTP id */
    uint8_t key[16];
    uint8_t salt[14];
    uint32_t rtx_burst;
    uint32_t rtx_rate; /* bytes per second; 0: half of the stream's */
    char cname[LP_CNAME_MAX + 1];
} lp_viewer_spec;

typedef struct {
    uint64_t packets, bytes, frames, rtx, rtx_bytes, rtx_refused, frames_dropped, errors, sr;
    uint64_t stream; /* id of the one whose picture was sent last, 0: none */
    int64_t behind_ns; /* since when it waits for its socket, 0: it does not */
    int32_t last_errno;
    int32_t gso;
} lp_viewer_stats;

typedef struct {
    uint64_t packets, bytes, frames, rtx, rtx_bytes, rtx_refused, frames_dropped, gso_off, sr;
    uint64_t refused_commands, blocked, syscalls, cpu_ns, viewers;
    uint64_t queued; /* commands given and not yet obeyed */
    uint64_t errors[LP_ERRNOS];
} lp_shard_stats;

typedef struct {
    uint64_t count, sum_ns, max_ns;
    uint64_t buckets[LP_DELAY_BUCKETS];
} lp_delay;

typedef struct {
    uint64_t id, frames, bytes, oldest, head, bytes_per_second;
    int64_t newest_timestamp;
    int has_keyframe, closed;
} lp_stream_stats;

/* ---- lists ------------------------------------------------------------------------------------ */

typedef struct lp_list {
    struct lp_list *next, *previous;
} lp_list;

#define LP_OF(type, member, link) ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void list_init(lp_list *list)
{
    list->next = list->previous = list;
}

static inline int list_empty(const lp_list *list)
{
    return list->next == list;
}

static inline void list_insert(lp_list *before, lp_list *link)
{
    link->previous = before->previous;
    link->next = before;
    before->previous->next = link;
    before->previous = link;
}

/* Also for a link that is in no list. */
static inline void list_remove(lp_list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* ---- counters that one thread writes and any thread reads -------------------------------------- */

#define LP_LOAD(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define LP_SET(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)
#define LP_ADD(place, value) LP_SET(place, LP_LOAD(place) + (value))

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * LP_SECOND + now.tv_nsec;
}

/* ---- frames and streams ------------------------------------------------------------------------ */

typedef struct {
    uint32_t refs; /* atomic */
    uint32_t packets;
    uint32_t bytes;
    uint32_t keyframe;
    uint64_t id;           /* place in the stream, from 0 */
    uint64_t first_packet; /* packets of the stream before this frame */
    int64_t timestamp;
    int64_t wall_ns;
    int64_t capture_ns; /* LP_UNKNOWN: none */
    int64_t pushed_ns;
    int64_t patience_ns;
    uint32_t offset[]; /* packets + 1; the payloads follow */
} lp_frame;

typedef struct lp_kernel lp_kernel;

typedef struct lp_stream {
    uint32_t refs; /* atomic: Python's handle, subscriptions, segments */
    lp_kernel *kernel;
    uint64_t id; /* from 1 */
    uint32_t clock_hz;
    int video;
    uint64_t published; /* atomic: changes with every push and with the end */
    pthread_mutex_t lock; /* guards the rest */
    lp_frame **ring;
    uint32_t mask, max_frames;
    size_t max_bytes, bytes;
    uint64_t tail, head; /* the ring holds the frames [tail, head) */
    uint64_t keyframe;   /* newest one in the ring, LP_NONE: none */
    uint64_t packets;
    int64_t window_ns;
    uint64_t window_bytes, bytes_per_second;
    int closed;
    uint8_t subscribed[LP_SHARDS_MAX];
    lp_delay delays[]; /* one for each shard, written by it alone */
} lp_stream;

/* ---- shards, sockets, viewers ------------------------------------------------------------------- */

typedef struct lp_shard lp_shard;
typedef struct lp_viewer lp_viewer;

/* What a shard knows of a stream that its viewers receive. */
typedef struct {
    lp_list link;
    lp_stream *stream;
    uint64_t published;
    uint64_t head, keyframe;
    lp_frame *newest;
    int closed;
    lp_list members; /* tracks that read it, rotated with every frame */
    lp_list waiting; /* tracks that go over to it at its next keyframe */
} lp_subscription;

typedef struct {
    lp_list link;
    int fd; /* our own duplicate */
    int family; /* AF_* of the socket */
    uint64_t device, inode;
    uint32_t refs; /* viewers */
    uint32_t burst; /* messages of a batch: small after the socket was full */
    int blocked, polled, progressed;
    int64_t retry_ns; /* 0: epoll says when */
    lp_list ready;    /* tracks with a frame to send, in turn */
} lp_socket;

/* Timestamps before `end` are squeezed: `span` ticks into `room` ticks. span 0: as they are. */
typedef struct {
    int64_t end, span, room;
} lp_squeeze;

/* Packets sent in a row: index first + n was packet `packet` + n of the stream. */
typedef struct {
    lp_stream *stream;
    uint64_t first, packet, count;
    lp_squeeze squeeze;
} lp_segment;

typedef struct {
    lp_segment segments[LP_SEGMENTS];
    uint32_t used; /* segments ever made; the newest is (used - 1) % LP_SEGMENTS */
    struct {
        uint16_t sequence;
        uint16_t set;
        uint32_t ms;
    } recent[LP_RECENT];
} lp_history;

enum { LP_IDLE, LP_WAITING, LP_CATCHING_UP, LP_LIVE };

typedef struct {
    lp_viewer *viewer;
    lp_track_spec spec;
    uint64_t index, rtx_index; /* of the next packet: rollover counter and sequence number */
    lp_subscription *subscription, *pending;
    lp_list member, pending_member, paced, ready;
    uint64_t pending_from; /* the pending stream's keyframes from here on count */
    int state;
    int lost;   /* waits for a keyframe because it lost frames */
    int broken; /* the next frame does not follow the last one sent: a new segment */
    int spoke;  /* last_timestamp is one */
    uint64_t next; /* frame of the subscription's stream */
    lp_squeeze squeeze;
    int64_t pace_ns; /* when the catching up began */
    int64_t due_ns;
    int64_t last_timestamp;
    lp_frame *frame; /* being sent */
    uint32_t packet; /* the next to be protected */
    int with_capture;
    int begun; /* its indices are reserved */
    uint64_t frame_index;
    uint32_t frame_timestamp;
    int64_t deadline_ns;
    int64_t captured_ns; /* when abs-capture-time last went out */
    uint32_t sent_packets, sent_octets;
    int64_t sr_ns; /* next one due */
    uint64_t sr_sent[2]; /* atomic: middle NTP bits, then monotonic microseconds */
    lp_history *history; /* NULL: no RTX */
} lp_track;

typedef struct {
    EVP_CIPHER_CTX *evp;
    void *imb_key;
    SHA_CTX inner, outer;
    uint8_t salt[14];
} lp_rtp_cipher;

typedef struct {
    uint8_t key[16], salt[14];
    uint32_t index;
    SHA_CTX inner, outer;
} lp_rtcp_cipher;

enum { LP_CIPHER_NONE, LP_CIPHER_EVP_GCM, LP_CIPHER_IMB_GCM, LP_CIPHER_CM };

struct lp_viewer {
    uint32_t refs; /* atomic: Python's handle, the shard, commands */
    lp_shard *shard;
    lp_kernel *kernel;
    lp_list link;
    int closed;
    int cipher;
    lp_rtp_cipher rtp;
    lp_rtcp_cipher rtcp;
    lp_socket *socket;
    int connected;
    int gso;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t address_size;
    uint32_t rtx_burst, rtx_rate;
    int64_t rtx_tokens, rtx_ns;
    char cname[LP_CNAME_MAX + 1];
    lp_viewer_stats stats;
    int tracks;
    lp_track track[2];
};

/* A message of a batch. track NULL: it is sent now or never (RTX, RTCP). */
typedef struct {
    lp_viewer *viewer;
    lp_track *track;
    uint32_t first, count; /* packets of the track's frame */
    uint32_t size;         /* of a packet, but the last */
    uint32_t bytes;
    int rtx;
} lp_message;

typedef struct {
    lp_socket *socket;
    uint32_t count, bytes;
    lp_message message[LP_BATCH_MESSAGES];
    struct mmsghdr header[LP_BATCH_MESSAGES];
    struct iovec vector[LP_BATCH_MESSAGES];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(uint16_t))];
    } control[LP_BATCH_MESSAGES];
    uint8_t buffer[LP_BATCH_BYTES + LP_GSO_MAX * LP_PACKET_ROOM];
} lp_batch;

typedef struct lp_command {
    struct lp_command *next;
    int kind;
    lp_viewer *viewer;
    lp_stream *stream;
    int fd; /* a duplicate that the command owns, -1: none */
    lp_path_spec path;
    int video, option;
    uint32_t ssrc, length;
    uint8_t data[];
} lp_command;

struct lp_shard {
    lp_kernel *kernel;
    int number;
    pthread_t thread;
    int started;
    int epoll, event;
    uint32_t signalled; /* atomic */
    pthread_mutex_t lock; /* guards the next three */
    lp_command *first, **last;
    int stopping;
    int stopped; /* the thread's own */
    uint32_t load; /* atomic: viewers added and not yet closed */
    lp_list viewers, subscriptions, sockets, paced;
    int64_t sr_scan_ns;
    EVP_CIPHER_CTX *rtcp_gcm, *rtcp_ctr;
    void *imb;
    lp_batch *batch;
    lp_shard_stats stats;
};

struct lp_kernel {
    uint32_t refs; /* atomic: Python's handle, streams, viewers */
    int crypto; /* LP_CRYPTO_* */
    int shards;
    uint64_t streams; /* atomic */
    lp_shard shard[];
};

static void kernel_unref(lp_kernel *kernel);
static void batch_flush(lp_shard *shard);
static void track_advance(lp_shard *shard, lp_track *track, int64_t now);
static void subscription_poll(lp_shard *shard, lp_subscription *subscription, int64_t now);
