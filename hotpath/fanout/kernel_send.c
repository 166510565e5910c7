/*
 * Batches go out by sendmmsg; what does not fit waits in turn until its deadline.
 *
 * An error of sendmmsg concerns only the message at the cursor. A full socket (EAGAIN, ENOBUFS)
 * puts the unsent messages' tracks back at the head of the socket's turns; they are protected again
 * when it has room, so after a full socket batches stay small until they go through.
 */

/* ---- what became of a message ------------------------------------------------------------------ */

static void track_delay(lp_shard *shard, const lp_track *track, int64_t now)
{
    static const int16_t bounds_ms[LP_DELAY_BUCKETS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    lp_delay *delay = &track->subscription->stream->delays[shard->number];
    uint64_t ns = (uint64_t)(now - track->frame->pushed_ns);
    LP_ADD(delay->count, 1);
    LP_ADD(delay->sum_ns, ns);
    if (ns > LP_LOAD(delay->max_ns))
        LP_SET(delay->max_ns, ns);
    for (int i = 0; i < LP_DELAY_BUCKETS; i++)
        if (ns <= (uint64_t)bounds_ms[i] * LP_MS) {
            LP_ADD(delay->buckets[i], 1);
            break;
        }
}

static void track_finish(lp_shard *shard, lp_track *track, int64_t now)
{
    if (track->state == LP_LIVE)
        track_delay(shard, track, now);
    LP_ADD(track->viewer->stats.frames, 1);
    LP_ADD(shard->stats.frames, 1);
    if (track->spec.video)
        LP_SET(track->viewer->stats.stream, track->subscription->stream->id);
    LP_SET(track->viewer->stats.behind_ns, 0);
    track->next = track->frame->id + 1;
    frame_unref(track->frame);
    track->frame = NULL;
    track_advance(shard, track, now);
}

static void message_count(lp_shard *shard, const lp_message *message, uint32_t packets,
                          uint32_t bytes)
{
    lp_viewer_stats *stats = &message->viewer->stats;
    if (!message->track && !message->rtx)
        return; /* RTCP */
    LP_ADD(stats->packets, packets);
    LP_ADD(stats->bytes, bytes);
    LP_ADD(shard->stats.packets, packets);
    LP_ADD(shard->stats.bytes, bytes);
    if (message->rtx) {
        LP_ADD(stats->rtx, 1);
        LP_ADD(stats->rtx_bytes, bytes);
        LP_ADD(shard->stats.rtx, 1);
        LP_ADD(shard->stats.rtx_bytes, bytes);
    }
    if (message->track) {
        lp_track *track = message->track;
        track->sent_packets += packets;
        track->sent_octets += bytes - packets * (12 + tag_size(message->viewer));
        if (!track->sr_ns)
            track->sr_ns = 1; /* the first report is due */
    }
}

/* The message has left the batch: sent, or given up. */
static void message_done(lp_shard *shard, const lp_message *message, int64_t now)
{
    lp_track *track = message->track;
    if (track && message->first + message->count == track->frame->packets)
        track_finish(shard, track, now);
}

/* Puts messages from `at` on back: their tracks go first, in this order, when there is room. */
static void batch_rewind(lp_shard *shard, uint32_t at, int64_t now)
{
    lp_batch *batch = shard->batch;
    for (uint32_t i = batch->count; i-- > at;) {
        lp_message *message = &batch->message[i];
        lp_track *track = message->track;
        if (!track) {
            if (message->rtx) {
                LP_ADD(message->viewer->stats.rtx_refused, 1);
                LP_ADD(shard->stats.rtx_refused, 1);
            }
            continue;
        }
        track->packet = message->first;
        list_remove(&track->ready);
        list_insert(batch->socket->ready.next, &track->ready);
        if (!LP_LOAD(message->viewer->stats.behind_ns))
            LP_SET(message->viewer->stats.behind_ns, now);
    }
}

/* ---- sending ------------------------------------------------------------------------------------ */

static int is_full(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

/* A pending asynchronous error of a shared socket may be another destination's. */
static int is_routing(int error)
{
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
           error == EHOSTDOWN || error == ENETDOWN || error == ECONNRESET;
}

/* Sends a GSO message as single datagrams. Returns 0, or the error of a full socket; the message
 * then stands for what is left. */
static int message_split(lp_shard *shard, uint32_t at)
{
    lp_batch *batch = shard->batch;
    lp_message *message = &batch->message[at];
    struct msghdr header = batch->header[at].msg_hdr;
    struct iovec *rest = &batch->vector[at];
    header.msg_control = NULL;
    header.msg_controllen = 0;
    while (rest->iov_len) {
        struct iovec one = {rest->iov_base, rest->iov_len < message->size ? rest->iov_len
                                                                          : message->size};
        header.msg_iov = &one;
        int sent = sendmsg(batch->socket->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
        LP_ADD(shard->stats.syscalls, 1);
        if (!sent && errno == EINTR)
            continue;
        if (!sent && is_full(errno))
            return errno;
        if (sent)
            message_count(shard, message, 1, (uint32_t)one.iov_len);
        else
            count_error(shard, message->viewer, errno);
        message->first++;
        message->count--;
        rest->iov_base = (uint8_t *)rest->iov_base + one.iov_len;
        rest->iov_len -= one.iov_len;
    }
    return 0;
}

/* What a failed message at the cursor needs. Returns 0: go on behind it; 1: try it again; else the
 * error of a full socket. */
static int batch_failed(lp_shard *shard, uint32_t at, int error, int again)
{
    lp_message *message = &shard->batch->message[at];
    if (is_full(error))
        return error;
    if (message->count > 1 && (error == EMSGSIZE || error == EINVAL || error == EIO)) {
        if (message->viewer->gso) {
            LP_SET(message->viewer->gso, 0);
            LP_SET(message->viewer->stats.gso, 0);
            LP_ADD(shard->stats.gso_off, 1);
        }
        return message_split(shard, at);
    }
    if (is_routing(error) && !again) {
        if (message->viewer->connected) {
            count_error(shard, message->viewer, error);
        } else {
            LP_ADD(shard->stats.errors[error], 1);
        }
        return 1;
    }
    count_error(shard, message->viewer, error);
    return 0;
}

static void batch_flush(lp_shard *shard)
{
    lp_batch *batch = shard->batch;
    lp_socket *socket = batch->socket;
    uint32_t at = 0;
    int again = 0, full = 0;
    int64_t now = now_ns();
    while (at < batch->count && !full) {
        int sent = sendmmsg(socket->fd, batch->header + at, batch->count - at,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        int error = errno;
        LP_ADD(shard->stats.syscalls, 1);
        now = now_ns();
        if (sent < 0 && error == EINTR)
            continue;
        for (int i = 0; i < sent; i++, at++) {
            const lp_message *message = &batch->message[at];
            message_count(shard, message, message->track ? message->count : 1, message->bytes);
            message_done(shard, message, now);
        }
        if (sent > 0) {
            socket->progressed = 1;
            again = 0;
            continue;
        }
        int next = batch_failed(shard, at, error, again);
        again = next == 1;
        full = next > 1 ? next : 0;
        if (next == 0)
            message_done(shard, &batch->message[at++], now);
    }
    if (full) {
        socket_block(shard, socket, full, now);
        batch_rewind(shard, at, now);
    } else if (socket && socket->burst < LP_BATCH_TURNS && batch->count >= socket->burst) {
        socket->burst *= 2;
    }
    batch->count = batch->bytes = 0;
}

/* Sends what the socket's viewers have, a turn each, until there is nothing, the socket is full, or
 * other news (sound, commands) have waited long enough. */
static void socket_pump(lp_shard *shard, lp_socket *socket)
{
    lp_batch *batch = shard->batch;
    if (socket->blocked || list_empty(&socket->ready))
        return;
    if (batch->socket != socket)
        batch_flush(shard);
    batch->socket = socket;
    int64_t now = now_ns(), until = now + LP_PUMP_NS;
    for (; now < until && !socket->blocked && !list_empty(&socket->ready); now = now_ns()) {
        while (!list_empty(&socket->ready) && batch->count < socket->burst &&
               batch->bytes < LP_BATCH_BYTES) {
            lp_track *track = LP_OF(lp_track, ready, socket->ready.next);
            list_remove(&track->ready);
            if (now > track->deadline_ns) {
                track_expire(shard, track, now);
                continue;
            }
            if (!track_turn(shard, track)) { /* given up once the batch no longer holds it */
                track->deadline_ns = 0;
                list_insert(socket->ready.next, &track->ready);
                break;
            }
            if (track->packet < track->frame->packets)
                list_insert(&socket->ready, &track->ready);
        }
        batch_flush(shard);
    }
}

/* A full socket: frames whose time is over are given up even while nothing can be sent. */
static void socket_expire(lp_shard *shard, lp_socket *socket, int64_t now)
{
    for (lp_list *at = socket->ready.next, *next; at != &socket->ready; at = next) {
        lp_track *track = LP_OF(lp_track, ready, at);
        next = at->next;
        if (now > track->deadline_ns)
            track_expire(shard, track, now);
    }
}
