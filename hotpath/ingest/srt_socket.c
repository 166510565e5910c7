/*
 * Sockets: listening, accepting, draining many messages per call, statistics, libsrt's log.
 *
 * Follows srt_admission.c in the same translation unit; see srt_streamid.c for threads and locking.
 */

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
