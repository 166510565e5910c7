/*
 * SRT listener support: everything that must not wait for Python.
 *
 * libsrt calls lp_on_connect in its receive thread, which serves every publisher on the port, so
 * nothing here takes the GIL or blocks: the streamid is parsed, the key compared and the
 * passphrase set from a table that Python copied in beforehand (lp_set_table). Every verdict goes
 * into a bounded ring that Python drains (lp_drain_verdicts); a full ring counts what it lost.
 *
 * Locking: one mutex per listener guards table, rate slots and ring. It is held for a few
 * microseconds and never while libsrt is called, except for srt_getsockstate of a table's holder,
 * which takes no lock that a caller of ours could hold.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <srt/access_control.h>
#include <srt/srt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>

#define LP_EVENT_MAX 64
#define LP_KEY_MAX 127
#define LP_STREAMID_MAX 512
#define LP_RING 1024
#define LP_RATE_SLOTS 1024
#define LP_RATE_PROBES 8
#define LP_LOG_RING 256
#define LP_LOG_TEXT 240
#define LP_MESSAGE_MAX 1500

/* ---- what Python sees (repeated in build_srt.py) ---------------------------------------------- */

typedef struct {
    char event[LP_EVENT_MAX + 1];
    char key[LP_KEY_MAX + 1];
} lp_streamid;

typedef struct {
    char event[LP_EVENT_MAX + 1];
    char key[LP_KEY_MAX + 1];
    char passphrase[80];
    int open;
    int takeover;
} lp_entry;

typedef struct {
    int32_t socket;
    int32_t reason;
    int64_t at_ns;
    int64_t version; /* of the table that decided */
    char event[LP_EVENT_MAX + 1];
    char peer[64];
} lp_verdict;

typedef struct {
    int64_t packets;
    int64_t bytes;
    int64_t lost;
    int64_t dropped;
    int64_t undecrypted;
    int64_t belated;
    int64_t retransmitted;
    double rtt_ms;
    double rate_mbps;
    int32_t buffer_ms;
    int32_t latency_ms;
} lp_statistics;

enum {
    LP_ADMITTED = 0,
    LP_BAD_STREAMID,
    LP_UNKNOWN_EVENT,
    LP_BAD_KEY,
    LP_ROTATED_KEY,
    LP_EVENT_CLOSED,
    LP_BUSY,
    LP_OVER_LIMIT,
    LP_BAD_PASSPHRASE
};

/* ---- streamid --------------------------------------------------------------------------------- */

static int is_event_char(unsigned char c, int first)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (!first && (c == '_' || c == '-'));
}

static int is_key_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-' || c == '~';
}

static int take_event(const char *text, size_t length, lp_streamid *out)
{
    if (length < 1 || length > LP_EVENT_MAX)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!is_event_char((unsigned char)text[i], i == 0))
            return 0;
    memcpy(out->event, text, length);
    out->event[length] = 0;
    return 1;
}

static int take_key(const char *text, size_t length, lp_streamid *out)
{
    if (length < 1 || length > LP_KEY_MAX)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!is_key_char((unsigned char)text[i]))
            return 0;
    memcpy(out->key, text, length);
    out->key[length] = 0;
    return 1;
}

/* SRT Access Control (draft-sharabayko-srt, appendix B): "#!::" then k=v pairs, comma-separated. */
static int parse_pairs(const char *text, size_t length, lp_streamid *out)
{
    size_t at = 0;
    while (at <= length) {
        const char *pair = text + at;
        const char *comma = memchr(pair, ',', length - at);
        size_t size = comma ? (size_t)(comma - pair) : length - at;
        const char *equals = memchr(pair, '=', size);
        if (!equals || equals == pair)
            return 0;
        if (equals == pair + 1) {
            const char *value = equals + 1;
            size_t value_size = size - 2;
            if (pair[0] == 'r') {
                if (out->event[0] || !take_event(value, value_size, out))
                    return 0;
            } else if (pair[0] == 'u') {
                if (out->key[0] || !take_key(value, value_size, out))
                    return 0;
            } else if (pair[0] == 'm') {
                if (value_size != 7 || memcmp(value, "publish", 7) != 0)
                    return 0;
            }
        }
        if (!comma)
            break;
        at += size + 1;
    }
    return out->event[0] && out->key[0];
}

/* Returns 1 and fills *out, or 0. The twin in Python is hotpath/ingest/streamid.py. */
int lp_parse_streamid(const char *text, size_t length, lp_streamid *out)
{
    memset(out, 0, sizeof *out);
    if (length == 0 || length > LP_STREAMID_MAX)
        return 0;
    if (length >= 4 && memcmp(text, "#!::", 4) == 0)
        return parse_pairs(text + 4, length - 4, out);
    const char *slash = memchr(text, '/', length);
    if (!slash)
        return 0;
    size_t event_size = (size_t)(slash - text);
    return take_event(text, event_size, out) &&
           take_key(slash + 1, length - event_size - 1, out);
}

/* ---- keys ------------------------------------------------------------------------------------- */

/* Compares the whole buffers, which both are zero-padded, in time that does not depend on them. */
static int equal_keys(const char *a, const char *b)
{
    unsigned char different = 0;
    for (size_t i = 0; i <= LP_KEY_MAX; i++)
        different |= (unsigned char)(a[i] ^ b[i]);
    return different == 0;
}

/* A key is kid "." generation "." mac; returns 1 when both name a kid, the same, and generations
 * that differ. Neither part is secret, so this need not be constant-time. */
static int other_generation(const char *presented, const char *valid)
{
    const char *a = strchr(presented, '.'), *b = strchr(valid, '.');
    if (!a || !b || a - presented != b - valid || memcmp(presented, valid, (size_t)(a - presented)))
        return 0;
    const char *a_end = strchr(++a, '.'), *b_end = strchr(++b, '.');
    if (!a_end || !b_end || a_end == a || a_end[1] == 0)
        return 0;
    for (const char *p = a; p < a_end; p++)
        if (*p < '0' || *p > '9')
            return 0;
    return a_end - a != b_end - b || memcmp(a, b, (size_t)(a_end - a)) != 0;
}

/* ---- listener --------------------------------------------------------------------------------- */

typedef struct {
    lp_entry entry;
    SRTSOCKET admitted; /* last socket this listener let pass; it may still fail the passphrase */
    SRTSOCKET active;   /* the publisher that Python accepted */
} lp_row;

typedef struct {
    uint8_t address[16];
    double tokens;
    int64_t at_ns;
} lp_rate;

typedef struct lp_listener {
    pthread_mutex_t lock;
    lp_row *rows;
    uint32_t capacity; /* a power of two, or 0 */
    int64_t version;
    lp_rate rates[LP_RATE_SLOTS];
    double rate_burst;
    double rate_per_s;
    lp_verdict ring[LP_RING];
    uint32_t head, count;
    uint64_t overflow;
} lp_listener;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint32_t hash_bytes(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint32_t hash = 2166136261u; /* FNV-1a */
    while (size--)
        hash = (hash ^ *p++) * 16777619u;
    return hash;
}

lp_listener *lp_listener_new(double rate_burst, double rate_per_s)
{
    lp_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return NULL;
    pthread_mutex_init(&listener->lock, NULL);
    listener->rate_burst = rate_burst;
    listener->rate_per_s = rate_per_s;
    return listener;
}

static void wipe_rows(lp_row *rows, uint32_t capacity)
{
    if (rows) {
        explicit_bzero(rows, capacity * sizeof *rows);
        free(rows);
    }
}

/* Only after srt_close of the listening socket: libsrt takes it out of its receive queue under the
 * lock that it also holds during the callback, so no callback runs after srt_close has returned. */
void lp_listener_free(lp_listener *listener)
{
    if (!listener)
        return;
    wipe_rows(listener->rows, listener->capacity);
    pthread_mutex_destroy(&listener->lock);
    free(listener);
}

/* The row of the event, or the free row where it belongs. NULL only for an empty table. */
static lp_row *find_row(lp_row *rows, uint32_t capacity, const char *event)
{
    if (!capacity)
        return NULL;
    uint32_t at = hash_bytes(event, strlen(event)) & (capacity - 1);
    while (rows[at].entry.event[0] && strcmp(rows[at].entry.event, event) != 0)
        at = (at + 1) & (capacity - 1);
    return &rows[at];
}

static lp_row *known_row(lp_listener *listener, const char *event)
{
    lp_row *row = find_row(listener->rows, listener->capacity, event);
    return row && row->entry.event[0] ? row : NULL;
}

/* Replaces the whole table. Who publishes where is kept for events that stay. Returns 0, or -1
 * when there is no memory (the old table then stands). */
int lp_set_table(lp_listener *listener, const lp_entry *entries, uint32_t count, int64_t version)
{
    uint32_t capacity = 16;
    while (capacity < count * 2)
        capacity *= 2;
    lp_row *rows = calloc(capacity, sizeof *rows);
    if (!rows)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        lp_row *row = find_row(rows, capacity, entries[i].event);
        row->entry = entries[i];
        row->admitted = row->active = SRT_INVALID_SOCK;
    }
    pthread_mutex_lock(&listener->lock);
    for (uint32_t i = 0; i < capacity; i++) {
        lp_row *old = rows[i].entry.event[0] ? known_row(listener, rows[i].entry.event) : NULL;
        if (old) {
            rows[i].admitted = old->admitted;
            rows[i].active = old->active;
        }
    }
    lp_row *old_rows = listener->rows;
    uint32_t old_capacity = listener->capacity;
    listener->rows = rows;
    listener->capacity = capacity;
    listener->version = version;
    pthread_mutex_unlock(&listener->lock);
    wipe_rows(old_rows, old_capacity);
    return 0;
}

/* Python accepted `socket` as the publisher of the event, or (SRT_INVALID_SOCK) it has none. */
void lp_set_active(lp_listener *listener, const char *event, SRTSOCKET socket)
{
    pthread_mutex_lock(&listener->lock);
    lp_row *row = known_row(listener, event);
    if (row)
        row->active = socket;
    pthread_mutex_unlock(&listener->lock);
}

static int is_alive(SRTSOCKET socket)
{
    if (socket == SRT_INVALID_SOCK)
        return 0;
    SRT_SOCKSTATUS state = srt_getsockstate(socket);
    return state == SRTS_CONNECTED || state == SRTS_CONNECTING;
}

/* ---- connect rate ----------------------------------------------------------------------------- */

static void address_of(const struct sockaddr *peer, uint8_t out[16])
{
    memset(out, 0, 16);
    if (peer->sa_family == AF_INET) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    } else if (peer->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
    }
}

/* A token bucket per address in a table of fixed size; the slot longest unused is taken over. The
 * address is proven by the handshake cookie, so a forged one never comes here. */
static int within_rate(lp_listener *listener, const struct sockaddr *peer, int64_t now_ns)
{
    uint8_t address[16];
    address_of(peer, address);
    uint32_t start = hash_bytes(address, sizeof address);
    lp_rate *slot = NULL;
    for (uint32_t i = 0; i < LP_RATE_PROBES; i++) {
        lp_rate *candidate = &listener->rates[(start + i) % LP_RATE_SLOTS];
        if (candidate->at_ns && memcmp(candidate->address, address, sizeof address) == 0) {
            slot = candidate;
            break;
        }
        if (!slot || candidate->at_ns < slot->at_ns)
            slot = candidate;
    }
    if (memcmp(slot->address, address, sizeof address) != 0 || !slot->at_ns) {
        memcpy(slot->address, address, sizeof address);
        slot->tokens = listener->rate_burst;
    } else {
        slot->tokens += (double)(now_ns - slot->at_ns) / 1e9 * listener->rate_per_s;
        if (slot->tokens > listener->rate_burst)
            slot->tokens = listener->rate_burst;
    }
    slot->at_ns = now_ns;
    if (slot->tokens < 1.0)
        return 0;
    slot->tokens -= 1.0;
    return 1;
}

/* ---- verdicts --------------------------------------------------------------------------------- */

static void format_peer(const struct sockaddr *peer, char out[64])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, 64, "%s:%d", host, ntohs(v4->sin_port));
    } else if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, 64, "[%s]:%d", host, ntohs(v6->sin6_port));
    } else {
        out[0] = 0;
    }
}

static void push_verdict(lp_listener *listener, const lp_verdict *verdict)
{
    if (listener->count == LP_RING) {
        listener->overflow++;
        return;
    }
    listener->ring[(listener->head + listener->count++) % LP_RING] = *verdict;
}

/* Moves up to `max` verdicts to `out`; returns how many. *overflow: lost since the start. */
int lp_drain_verdicts(lp_listener *listener, lp_verdict *out, int max, uint64_t *overflow)
{
    int n = 0;
    pthread_mutex_lock(&listener->lock);
    while (n < max && listener->count) {
        out[n++] = listener->ring[listener->head];
        listener->head = (listener->head + 1) % LP_RING;
        listener->count--;
    }
    *overflow = listener->overflow;
    pthread_mutex_unlock(&listener->lock);
    return n;
}

static int reject_code(int reason)
{
    switch (reason) {
    case LP_BAD_STREAMID:
        return SRT_REJX_BAD_REQUEST;
    case LP_UNKNOWN_EVENT:
        return SRT_REJX_NOTFOUND;
    case LP_BAD_KEY:
    case LP_ROTATED_KEY:
        return SRT_REJX_UNAUTHORIZED;
    case LP_EVENT_CLOSED:
        return SRT_REJX_FORBIDDEN;
    case LP_BUSY:
        return SRT_REJX_CONFLICT;
    case LP_OVER_LIMIT:
        return SRT_REJX_OVERLOAD;
    default:
        return SRT_REJX_ISE;
    }
}

/* Decides under the lock; fills passphrase when the answer is LP_ADMITTED. */
static int decide(lp_listener *listener, SRTSOCKET socket, const struct sockaddr *peer,
                  const char *text, lp_verdict *verdict, char passphrase[80])
{
    lp_streamid id;
    if (!within_rate(listener, peer, clock_ns(CLOCK_MONOTONIC)))
        return LP_OVER_LIMIT;
    if (!text || !lp_parse_streamid(text, strnlen(text, LP_STREAMID_MAX + 1), &id))
        return LP_BAD_STREAMID;
    memcpy(verdict->event, id.event, sizeof id.event);
    lp_row *row = known_row(listener, id.event);
    if (!row)
        return LP_UNKNOWN_EVENT;
    if (!equal_keys(id.key, row->entry.key))
        return other_generation(id.key, row->entry.key) ? LP_ROTATED_KEY : LP_BAD_KEY;
    if (!row->entry.open)
        return LP_EVENT_CLOSED;
    /* Callbacks of one port run one after another, so a socket admitted earlier has either
     * connected by now or failed; two publishers can never both pass. */
    if (!row->entry.takeover && (is_alive(row->active) || is_alive(row->admitted)))
        return LP_BUSY;
    row->admitted = socket;
    memcpy(passphrase, row->entry.passphrase, sizeof row->entry.passphrase);
    return LP_ADMITTED;
}

/* What the running receive thread let pass last: libsrt checks the passphrase right after the
 * callback, in the same thread, and tells the cause of a failure only in its log (on_log). */
static __thread lp_listener *passed_listener;
static __thread lp_verdict passed;

static int on_connect(void *opaque, SRTSOCKET socket, int version, const struct sockaddr *peer,
                      const char *text)
{
    lp_listener *listener = opaque;
    lp_verdict verdict;
    char passphrase[80] = "";
    (void)version;
    memset(&verdict, 0, sizeof verdict);
    verdict.socket = socket;
    verdict.at_ns = clock_ns(CLOCK_REALTIME);
    format_peer(peer, verdict.peer);

    pthread_mutex_lock(&listener->lock);
    verdict.version = listener->version;
    verdict.reason = decide(listener, socket, peer, text, &verdict, passphrase);
    push_verdict(listener, &verdict);
    pthread_mutex_unlock(&listener->lock);

    passed_listener = verdict.reason == LP_ADMITTED ? listener : NULL;
    passed = verdict;
    int refused = verdict.reason != LP_ADMITTED;
    if (refused)
        srt_setrejectreason(socket, reject_code(verdict.reason));
    else if (passphrase[0])
        refused = srt_setsockflag(socket, SRTO_PASSPHRASE, passphrase, (int)strlen(passphrase)) != 0;
    explicit_bzero(passphrase, sizeof passphrase);
    return refused ? -1 : 0;
}

/* ---- sockets ---------------------------------------------------------------------------------- */

static int set_int(SRTSOCKET socket, SRT_SOCKOPT option, int value)
{
    return srt_setsockflag(socket, option, &value, sizeof value);
}

static int set_bool(SRTSOCKET socket, SRT_SOCKOPT option, int value)
{
    bool flag = value != 0;
    return srt_setsockflag(socket, option, &flag, sizeof flag);
}

/* Opens the listening socket on a numeric address. Returns it, or -1 (srt_getlasterror_str). */
SRTSOCKET lp_listen(lp_listener *listener, const char *address, int port, int latency_ms,
                    int idle_ms, int *bound_port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    int size;
    memset(&name, 0, sizeof name);
    if (inet_pton(AF_INET, address, &name.v4.sin_addr) == 1) {
        name.v4.sin_family = AF_INET;
        name.v4.sin_port = htons((uint16_t)port);
        size = sizeof name.v4;
    } else if (inet_pton(AF_INET6, address, &name.v6.sin6_addr) == 1) {
        name.v6.sin6_family = AF_INET6;
        name.v6.sin6_port = htons((uint16_t)port);
        size = sizeof name.v6;
    } else {
        return SRT_INVALID_SOCK;
    }
    SRTSOCKET socket = srt_create_socket();
    if (socket == SRT_INVALID_SOCK)
        return socket;
    if (size == sizeof name.v6)
        set_int(socket, SRTO_IPV6ONLY, 0);
    if (set_bool(socket, SRTO_RCVSYN, 0) || set_bool(socket, SRTO_ENFORCEDENCRYPTION, 1) ||
        set_int(socket, SRTO_RCVLATENCY, latency_ms) || set_int(socket, SRTO_PEERIDLETIMEO, idle_ms) ||
        srt_listen_callback(socket, on_connect, listener) || srt_bind(socket, &name.any, size) ||
        srt_listen(socket, 64) || srt_getsockname(socket, &name.any, &size)) {
        srt_close(socket);
        return SRT_INVALID_SOCK;
    }
    *bound_port = ntohs(name.any.sa_family == AF_INET ? name.v4.sin_port : name.v6.sin6_port);
    return socket;
}

/* The next connected publisher, non-blocking, or -1. */
SRTSOCKET lp_accept(SRTSOCKET listener)
{
    SRTSOCKET socket = srt_accept(listener, NULL, NULL);
    if (socket != SRT_INVALID_SOCK)
        set_bool(socket, SRTO_RCVSYN, 0);
    return socket;
}

/* Receives whole messages one behind the other until the socket or the buffer has no more. Returns
 * the bytes; 0: none now; -1: the connection is gone. */
int lp_drain(SRTSOCKET socket, char *buffer, int capacity, int *messages)
{
    int used = 0;
    *messages = 0;
    while (capacity - used >= LP_MESSAGE_MAX) {
        int got = srt_recvmsg2(socket, buffer + used, capacity - used, NULL);
        if (got <= 0) {
            if (used || srt_getlasterror(NULL) == SRT_EASYNCRCV)
                break;
            return -1;
        }
        used += got;
        ++*messages;
    }
    return used;
}

/* Messages that wait for their delivery time; 0 when the socket is gone altogether. */
int lp_unread(SRTSOCKET socket)
{
    int32_t packets = 0;
    int size = sizeof packets;
    return srt_getsockflag(socket, SRTO_RCVDATA, &packets, &size) == 0 ? packets : 0;
}

int lp_statistics_of(SRTSOCKET socket, lp_statistics *out)
{
    SRT_TRACEBSTATS now;
    if (srt_bistats(socket, &now, 0, 1) != 0)
        return -1;
    out->packets = now.pktRecvTotal;
    out->bytes = (int64_t)now.byteRecvTotal;
    out->lost = now.pktRcvLossTotal;
    out->dropped = now.pktRcvDropTotal;
    out->undecrypted = now.pktRcvUndecryptTotal;
    out->belated = now.pktRcvBelated;
    out->retransmitted = now.pktRcvRetrans;
    out->rtt_ms = now.msRTT;
    out->rate_mbps = now.mbpsRecvRate;
    out->buffer_ms = now.msRcvBuf;
    out->latency_ms = now.msRcvTsbPdDelay;
    return 0;
}

/* ---- libsrt's own log ------------------------------------------------------------------------- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_ring[LP_LOG_RING][LP_LOG_TEXT];
static uint32_t log_head, log_count;
static uint64_t log_overflow;

static void on_log(void *opaque, int level, const char *file, int line, const char *area,
                   const char *message)
{
    (void)opaque, (void)level, (void)file, (void)line;
    if (passed_listener && strstr(message, "enforced encryption")) {
        passed.reason = LP_BAD_PASSPHRASE;
        pthread_mutex_lock(&passed_listener->lock);
        push_verdict(passed_listener, &passed);
        pthread_mutex_unlock(&passed_listener->lock);
        passed_listener = NULL;
        return;
    }
    pthread_mutex_lock(&log_lock);
    if (log_count == LP_LOG_RING) {
        log_overflow++;
    } else {
        char *slot = log_ring[(log_head + log_count++) % LP_LOG_RING];
        snprintf(slot, LP_LOG_TEXT, "%s: %s", area, message);
    }
    pthread_mutex_unlock(&log_lock);
}

/* Copies the oldest line to out (LP_LOG_TEXT bytes); returns 1, or 0 when there is none. */
int lp_next_log(char *out, uint64_t *overflow)
{
    int found = 0;
    pthread_mutex_lock(&log_lock);
    *overflow = log_overflow;
    if (log_count) {
        memcpy(out, log_ring[log_head], LP_LOG_TEXT);
        log_head = (log_head + 1) % LP_LOG_RING;
        log_count--;
        found = 1;
    }
    pthread_mutex_unlock(&log_lock);
    return found;
}

/* Once per process. libsrt writes to stderr by default; its errors go to the ring instead. */
int lp_startup(void)
{
    int result = srt_startup();
    srt_setlogflags(SRT_LOGF_DISABLE_TIME | SRT_LOGF_DISABLE_THREADNAME |
                    SRT_LOGF_DISABLE_SEVERITY | SRT_LOGF_DISABLE_EOL);
    srt_setloghandler(NULL, on_log);
    srt_setloglevel(LOG_ERR);
    return result < 0 ? -1 : 0;
}
