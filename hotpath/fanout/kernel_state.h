/*
 * What the threads hold: frames, streams, sockets, tracks, viewers, shards.
 *
 * Follows kernel.h; see there for who may touch what.
 */

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

typedef struct {
    uint32_t ssrc;
    uint32_t highest;       /* index */
    unsigned __int128 seen; /* bit n: the index n below the highest one was taken */
} lp_replay;

/* Opens a viewer's SRTCP. */
typedef struct {
    int gcm;
    uint8_t key[16], salt[14];
    SHA_CTX inner, outer;
    uint32_t ssrcs;
    lp_replay replay[LP_SSRCS_MAX];
} lp_opener;

/* Where a viewer's datagrams come from; compared as bytes, so all of it is set. */
typedef struct {
    int32_t fd, family; /* the transport's descriptor; 0: nowhere */
    uint32_t port, scope;
    uint8_t address[16];
} lp_route;

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
    lp_viewer *neighbour; /* this and the rest: guarded by the intake's lock */
    lp_route route;
    lp_opener opener;
    int64_t heard_ns;
    lp_reception heard[2]; /* by track */
    int64_t remb; /* bits per second, -1: none came */
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

typedef struct {
    pthread_mutex_t lock;
    EVP_CIPHER_CTX *gcm, *ctr;
    lp_viewer *bucket[LP_BUCKETS];
} lp_intake;

struct lp_kernel {
    uint32_t refs; /* atomic: Python's handle, streams, viewers */
    int crypto; /* LP_CRYPTO_* */
    int shards;
    uint64_t streams; /* atomic */
    lp_intake intake;
    lp_shard shard[];
};

static void kernel_unref(lp_kernel *kernel);
int64_t lp_viewer_round_trip(lp_viewer *viewer, uint32_t ssrc, uint32_t lsr, uint32_t dlsr);
static void batch_flush(lp_shard *shard);
static void track_advance(lp_shard *shard, lp_track *track, int64_t now);
static lp_subscription *shard_subscribe(lp_shard *shard, lp_stream *stream);
static void subscription_poll(lp_shard *shard, lp_subscription *subscription, int64_t now);
