/*
 * A shard's thread: what it does in which order, and what it waits for.
 */

static void shard_poll_streams(lp_shard *shard, int64_t now)
{
    for (lp_list *at = shard->subscriptions.next, *next; at != &shard->subscriptions; at = next) {
        next = at->next;
        lp_subscription *subscription = LP_OF(lp_subscription, link, at);
        subscription_poll(shard, subscription, now);
        if (list_empty(&subscription->members) && list_empty(&subscription->waiting))
            subscription_free(shard, subscription);
    }
}

static void shard_pace(lp_shard *shard, int64_t now)
{
    for (lp_list *at = shard->paced.next, *next; at != &shard->paced; at = next) {
        lp_track *track = LP_OF(lp_track, paced, at);
        next = at->next;
        if (track->due_ns <= now + LP_MS / 2) {
            list_remove(at);
            track_advance(shard, track, now);
        }
    }
}

static void shard_send(lp_shard *shard)
{
    for (lp_list *at = shard->sockets.next; at != &shard->sockets; at = at->next)
        socket_pump(shard, LP_OF(lp_socket, link, at));
    batch_flush(shard);
}

/* Looks after sockets that are full. Returns when a socket needs its turn, at the latest. */
static int64_t shard_sockets(lp_shard *shard, int64_t now)
{
    int64_t next = INT64_MAX;
    for (lp_list *at = shard->sockets.next; at != &shard->sockets; at = at->next) {
        lp_socket *socket = LP_OF(lp_socket, link, at);
        if (!socket->blocked) {
            next = list_empty(&socket->ready) ? next : now;
            continue;
        }
        if (socket->retry_ns && socket->retry_ns <= now) {
            socket_open(shard, socket);
            next = now;
            continue;
        }
        socket_expire(shard, socket, now);
        int64_t again = socket->retry_ns ? socket->retry_ns : now + 5 * LP_MS;
        next = again < next ? again : next;
    }
    return next;
}

static int shard_timeout(lp_shard *shard)
{
    int64_t now = now_ns(), next = shard_sockets(shard, now);
    for (lp_list *at = shard->paced.next; at != &shard->paced; at = at->next) {
        int64_t due = LP_OF(lp_track, paced, at)->due_ns;
        next = due < next ? due : next;
    }
    if (!list_empty(&shard->viewers) && shard->sr_scan_ns < next)
        next = shard->sr_scan_ns;
    if (next == INT64_MAX)
        return -1;
    return next <= now ? 0 : (int)((next - now + LP_MS - 1) / LP_MS);
}

static void shard_wait(lp_shard *shard, int timeout_ms)
{
    struct epoll_event events[64];
    int count = epoll_wait(shard->epoll, events, 64, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr) {
            socket_open(shard, events[i].data.ptr);
            continue;
        }
        uint64_t value;
        while (read(shard->event, &value, sizeof value) < 0 && errno == EINTR)
            ;
        __atomic_store_n(&shard->signalled, 0, __ATOMIC_SEQ_CST);
    }
}

static void shard_end(lp_shard *shard)
{
    while (!list_empty(&shard->viewers))
        viewer_close(shard, LP_OF(lp_viewer, link, shard->viewers.next), 1);
    shard_poll_streams(shard, now_ns());
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * LP_SECOND + (uint64_t)used.tv_nsec;
}

static void *shard_run(void *argument)
{
    lp_shard *shard = argument;
    while (!shard->stopped) {
        shard_wait(shard, shard_timeout(shard));
        shard_obey_all(shard);
        int64_t now = now_ns();
        shard_poll_streams(shard, now);
        shard_pace(shard, now);
        shard_send(shard);
        shard_report(shard, now);
        batch_flush(shard);
        LP_SET(shard->stats.cpu_ns, thread_cpu_ns());
    }
    shard_end(shard);
    LP_SET(shard->stats.cpu_ns, thread_cpu_ns());
    return NULL;
}
