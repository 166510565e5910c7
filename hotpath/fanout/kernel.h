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
 * The intake (what viewers send) belongs to whoever receives, Python's event loop; its mutex keeps
 * viewers that end meanwhile out of it. It is never held together with another.
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
#include <openssl/crypto.h>
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
#define LP_RTCP_IN_MAX 1500   /* of an SRTCP packet that is opened */
#define LP_DATAGRAM_MAX 2048
#define LP_INTAKE 32          /* datagrams of one call */
#define LP_BUCKETS 4096
#define LP_SSRCS_MAX 8        /* of one viewer; a browser has one to three */
#define LP_REPLAY_WINDOW 128
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
    uint8_t remote_key[16];
    uint8_t remote_salt[14];
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

/* What a viewer's reports said of one track. */
typedef struct {
    uint32_t reports;
    uint32_t worst_lost; /* of 256, of one report */
    uint32_t jitter;     /* the last, in ticks of the track's clock */
    int64_t round_trip_ns; /* the last, -1: not known */
} lp_reception;

typedef struct {
    int32_t length;
    int32_t family; /* 4, 6 */
    uint32_t scope;
    uint16_t port;
    uint8_t address[16];
    uint8_t data[LP_DATAGRAM_MAX];
} lp_datagram;

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
