/*
 * Where a track of a viewer stands in its stream: which frame it sends next, when, and under which
 * timestamps.
 *
 * A track is idle, waits for a keyframe, catches up from one that is past (paced, its timestamps
 * squeezed) or is live. It sends one frame at a time; track_advance begins the next one.
 */

/* ---- leaving ------------------------------------------------------------------------------------ */

/* Gives up what is left of the frame being sent. Its sequence numbers stay skipped once the first
 * of its packets was protected. */
static void track_abandon(lp_track *track)
{
    if (!track->frame)
        return;
    if (track->begun)
        history_end(track, track->packet);
    track->broken = 1;
    track->next = track->frame->id + 1;
    frame_unref(track->frame);
    track->frame = NULL;
    list_remove(&track->ready);
    LP_SET(track->viewer->stats.behind_ns, 0);
}

static void track_count_lost(lp_shard *shard, lp_track *track, uint64_t frames)
{
    LP_ADD(track->viewer->stats.frames_dropped, frames);
    LP_ADD(shard->stats.frames_dropped, frames);
}

/* Frames up to `track->next` are lost; only a keyframe helps. */
static void track_lose(lp_shard *shard, lp_track *track, uint64_t frames)
{
    track_count_lost(shard, track, frames);
    track->state = LP_WAITING;
    track->lost = 1;
    track->broken = 1;
    list_remove(&track->paced);
}

static void track_forget_pending(lp_track *track)
{
    list_remove(&track->pending_member);
    track->pending = NULL;
}

static void track_detach(lp_track *track)
{
    track_abandon(track);
    track_forget_pending(track);
    list_remove(&track->member);
    list_remove(&track->paced);
    track->subscription = NULL;
    track->state = LP_IDLE;
    track->lost = 0;
    if (track->spec.video)
        LP_SET(track->viewer->stats.stream, 0);
}

/* ---- joining ------------------------------------------------------------------------------------ */

static int64_t ticks(int64_t ns, uint32_t clock_hz)
{
    return ns / LP_MS * clock_hz / 1000;
}

static void track_read(lp_track *track, lp_subscription *subscription)
{
    list_remove(&track->member);
    list_remove(&track->paced);
    track->subscription = subscription;
    list_insert(&subscription->members, &track->member);
    track->broken = 1;
    track->lost = 0;
    memset(&track->squeeze, 0, sizeof track->squeeze);
}

/* Timestamps from `first` on must come after what was already sent, and be true again soon. */
static void track_keep_order(lp_track *track, int64_t first)
{
    if (!track->spoke || first > track->last_timestamp)
        return;
    int64_t clock = track->spec.clock_hz;
    track->squeeze.end = track->last_timestamp + clock / 2;
    track->squeeze.room = clock / 2 - clock / 1000;
    track->squeeze.span = track->squeeze.end - first;
}

/* Begins at the ring's newest keyframe, although it is past: the frames up to the live edge go out
 * about eight times as fast as they play, within 0.7 s, with timestamps that fit their arrival. */
static void track_catch_up(lp_track *track, int64_t now)
{
    lp_subscription *from = track->subscription;
    lp_frame *key = from->keyframe == LP_NONE ? NULL : ring_get(from->stream, from->keyframe);
    track->next = key ? key->id : from->head;
    track->state = key ? LP_CATCHING_UP : LP_WAITING;
    if (!key)
        return;
    int64_t clock = track->spec.clock_hz, age = now - from->newest->pushed_ns;
    int64_t live = from->newest->timestamp + ticks(age < LP_SECOND ? age : LP_SECOND, clock);
    int64_t behind = live > key->timestamp ? live - key->timestamp : 0;
    int64_t room = behind / 7 < clock * 7 / 10 ? behind / 7 : clock * 7 / 10;
    if (track->spoke && live <= track->last_timestamp)
        live = track->last_timestamp + clock / 1000;
    track->squeeze.room = room;
    track->squeeze.end = live + room;
    track->squeeze.span = live + room > key->timestamp ? live + room - key->timestamp : 0;
    track->pace_ns = now;
    frame_unref(key);
}

static void track_attach(lp_shard *shard, lp_track *track, lp_stream *stream, int start,
                         int64_t now)
{
    lp_subscription *subscription = shard_subscribe(shard, stream);
    track_detach(track);
    if (subscription)
        subscription_poll(shard, subscription, now);
    if (!subscription || subscription->closed)
        return;
    track_read(track, subscription);
    if (start == LP_START_KEYFRAME && track->spec.video) {
        track_catch_up(track, now);
    } else {
        track->state = LP_WAITING;
        track->next = subscription->head;
    }
    track_advance(shard, track, now);
}

static void track_switch(lp_shard *shard, lp_track *track, lp_stream *stream, int64_t now)
{
    if (track->state == LP_IDLE) {
        track_attach(shard, track, stream, LP_START_KEYFRAME, now);
        return;
    }
    track_forget_pending(track);
    lp_subscription *subscription = shard_subscribe(shard, stream);
    if (!subscription || subscription->closed || subscription == track->subscription)
        return;
    track->pending = subscription;
    track->pending_from = subscription->head;
    list_insert(&subscription->waiting, &track->pending_member);
}

static void track_resend(lp_shard *shard, lp_track *track, int64_t now)
{
    int busy = track->state == LP_CATCHING_UP && track->frame && track->frame->keyframe;
    if (track->state == LP_IDLE || busy || track->subscription->keyframe == LP_NONE)
        return;
    track_abandon(track);
    track_read(track, track->subscription);
    track_catch_up(track, now);
    track_advance(shard, track, now);
}

/* ---- going on ----------------------------------------------------------------------------------- */

static void track_go_over(lp_track *track)
{
    lp_subscription *to = track->pending;
    lp_frame *key = ring_get(to->stream, to->keyframe);
    if (!key)
        return;
    track_forget_pending(track);
    track_read(track, to);
    track->state = LP_LIVE;
    track->next = key->id;
    track_keep_order(track, key->timestamp);
    frame_unref(key);
}

/* The frame that the track should send now or soon, if the stream has it already. */
static lp_frame *track_fetch(lp_shard *shard, lp_track *track, int64_t now)
{
    lp_subscription *from = track->subscription;
    for (;;) {
        if (track->state == LP_WAITING) {
            if (from->keyframe == LP_NONE || from->keyframe < track->next)
                return NULL;
            if (track->lost)
                track_count_lost(shard, track, from->keyframe - track->next);
            track->lost = 0;
            track->next = from->keyframe;
            track->state = LP_LIVE;
        }
        if (track->next >= from->head)
            return NULL;
        lp_frame *frame = from->newest->id == track->next ? frame_ref(from->newest)
                                                          : ring_get(from->stream, track->next);
        if (!frame) {
            track_lose(shard, track, 0); /* evicted; counted with the jump */
            if (from->keyframe != LP_NONE && from->keyframe <= track->next)
                return NULL; /* evicted, too: what is known here is out of date */
            continue;
        }
        int catching_up =
            track->state == LP_CATCHING_UP && frame->timestamp < track->squeeze.end;
        if (!catching_up)
            track->state = LP_LIVE;
        if (catching_up || now <= frame->pushed_ns + frame->patience_ns)
            return frame;
        frame_unref(frame);
        track->next++;
        track_lose(shard, track, 1);
    }
}

static int64_t track_due(const lp_track *track, const lp_frame *frame)
{
    if (track->state != LP_CATCHING_UP)
        return 0;
    int64_t first = track->squeeze.end - track->squeeze.room;
    int64_t after = squeeze(&track->squeeze, frame->timestamp) - first;
    return track->pace_ns + after * (LP_SECOND / LP_MS) / track->spec.clock_hz * LP_MS;
}

static void track_begin(lp_track *track, lp_frame *frame, int64_t now)
{
    track->frame = frame;
    track->packet = 0;
    track->begun = 0;
    track->frame_index = track->index;
    if (track->broken)
        history_begin(track, frame);
    track->broken = 0;
    track->last_timestamp = squeeze(&track->squeeze, frame->timestamp);
    track->spoke = 1;
    track->frame_timestamp = (uint32_t)track->last_timestamp + track->spec.timestamp_offset;
    track->deadline_ns =
        (track->state == LP_CATCHING_UP ? now : frame->pushed_ns) + frame->patience_ns;
    track->with_capture = track->spec.capture_id && frame->capture_ns != LP_UNKNOWN &&
                          now - track->captured_ns >= LP_SECOND;
    if (track->with_capture)
        track->captured_ns = now;
    lp_list *turns = &track->viewer->socket->ready; /* sound is small: it never waits for pictures */
    list_insert(track->spec.video ? turns : turns->next, &track->ready);
}

/* Begins the next frame if none is being sent and one is due. */
static void track_advance(lp_shard *shard, lp_track *track, int64_t now)
{
    if (track->frame || track->state == LP_IDLE)
        return;
    if (track->pending && track->pending->keyframe != LP_NONE &&
        track->pending->keyframe >= track->pending_from)
        track_go_over(track);
    lp_frame *frame = track_fetch(shard, track, now);
    if (!frame)
        return;
    int64_t due = track_due(track, frame);
    if (due > now + LP_MS / 2) {
        frame_unref(frame);
        track->due_ns = due;
        list_remove(&track->paced);
        list_insert(&shard->paced, &track->paced);
        return;
    }
    list_remove(&track->paced);
    track_begin(track, frame, now);
}

/* The frame's deadline has passed: the rest of it, and what follows up to a keyframe, is lost. */
static void track_expire(lp_shard *shard, lp_track *track, int64_t now)
{
    track_abandon(track);
    track_lose(shard, track, 1);
    track_advance(shard, track, now);
}
