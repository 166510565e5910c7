/*
 * What a shard knows of the streams that its viewers read, and whom their news concern.
 *
 * Frames are announced by a counter beside the stream; its ring is looked at once for all viewers.
 */

static lp_subscription *shard_subscribe(lp_shard *shard, lp_stream *stream)
{
    for (lp_list *at = shard->subscriptions.next; at != &shard->subscriptions; at = at->next) {
        lp_subscription *known = LP_OF(lp_subscription, link, at);
        if (known->stream == stream)
            return known;
    }
    lp_subscription *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->stream = stream_ref(stream);
    list_init(&made->members);
    list_init(&made->waiting);
    pthread_mutex_lock(&stream->lock);
    stream->subscribed[shard->number] = 1;
    made->published = __atomic_load_n(&stream->published, __ATOMIC_RELAXED);
    made->head = stream->head;
    made->keyframe = stream->keyframe;
    made->closed = stream->closed;
    if (stream->head > stream->tail)
        made->newest = frame_ref(stream->ring[(stream->head - 1) & stream->mask]);
    pthread_mutex_unlock(&stream->lock);
    list_insert(&shard->subscriptions, &made->link);
    return made;
}

static void subscription_free(lp_shard *shard, lp_subscription *subscription)
{
    lp_stream *stream = subscription->stream;
    pthread_mutex_lock(&stream->lock);
    stream->subscribed[shard->number] = 0;
    pthread_mutex_unlock(&stream->lock);
    list_remove(&subscription->link);
    frame_unref(subscription->newest);
    stream_unref(stream);
    free(subscription);
}

static void subscription_refresh(lp_subscription *subscription)
{
    lp_stream *stream = subscription->stream;
    lp_frame *old = subscription->newest;
    subscription->newest = NULL;
    pthread_mutex_lock(&stream->lock);
    subscription->published = __atomic_load_n(&stream->published, __ATOMIC_RELAXED);
    subscription->head = stream->head;
    subscription->keyframe = stream->keyframe;
    subscription->closed = stream->closed;
    if (stream->head > stream->tail)
        subscription->newest = frame_ref(stream->ring[(stream->head - 1) & stream->mask]);
    pthread_mutex_unlock(&stream->lock);
    frame_unref(old);
}

static void subscription_end(lp_subscription *subscription)
{
    while (!list_empty(&subscription->members))
        track_detach(LP_OF(lp_track, member, subscription->members.next));
    while (!list_empty(&subscription->waiting))
        track_forget_pending(LP_OF(lp_track, pending_member, subscription->waiting.next));
}

/* Another track goes first with every frame: strides of the golden ratio spread the places evenly
 * over few frames, too. The list's own link moves, not its members. */
static void subscription_rotate(lp_subscription *subscription, uint32_t count)
{
    lp_list *first = subscription->members.next;
    for (uint32_t i = (uint32_t)(count * 0.618); i && first != &subscription->members; i--)
        first = first->next;
    if (first == subscription->members.next || first == &subscription->members)
        return;
    list_remove(&subscription->members);
    list_insert(first, &subscription->members);
}

static void subscription_poll(lp_shard *shard, lp_subscription *subscription, int64_t now)
{
    uint32_t count = 0;
    if (subscription->published ==
        __atomic_load_n(&subscription->stream->published, __ATOMIC_ACQUIRE))
        return;
    subscription_refresh(subscription);
    if (subscription->closed) {
        subscription_end(subscription);
        return;
    }
    for (lp_list *at = subscription->waiting.next, *next; at != &subscription->waiting; at = next) {
        next = at->next;
        track_advance(shard, LP_OF(lp_track, pending_member, at), now);
    }
    for (lp_list *at = subscription->members.next, *next; at != &subscription->members; at = next) {
        next = at->next;
        track_advance(shard, LP_OF(lp_track, member, at), now);
        count++;
    }
    subscription_rotate(subscription, count);
}
