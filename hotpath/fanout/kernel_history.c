/*
 * What a viewer's sequence numbers stood for: runs of packets, not packets.
 *
 * A run is a stretch of the ring sent without a gap under one timestamp mapping, so a join and all
 * that follows it is one entry until something is dropped, repeated or switched.
 */

static inline int64_t squeeze(const lp_squeeze *map, int64_t timestamp)
{
    if (!map->span || timestamp >= map->end)
        return timestamp;
    return map->end - (map->end - timestamp) * map->room / map->span;
}

static lp_segment *history_newest(lp_history *history)
{
    return history->used ? &history->segments[(history->used - 1) % LP_SEGMENTS] : NULL;
}

/* From here on the track's packets are those of `frame` and what follows it in the ring. */
static void history_begin(lp_track *track, const lp_frame *frame)
{
    lp_history *history = track->history;
    if (!history)
        return;
    lp_segment *newest = history_newest(history);
    if (newest && newest->count == LP_NONE)
        newest->count = track->index - newest->first;
    lp_segment *segment = &history->segments[history->used++ % LP_SEGMENTS];
    stream_unref(segment->stream);
    segment->stream = stream_ref(track->subscription->stream);
    segment->first = track->index;
    segment->packet = frame->first_packet;
    segment->count = LP_NONE;
    segment->squeeze = track->squeeze;
}

/* The run ends before packet `packet` of the frame being sent. */
static void history_end(lp_track *track, uint32_t packet)
{
    lp_segment *newest = track->history ? history_newest(track->history) : NULL;
    if (newest && newest->count == LP_NONE)
        newest->count = track->frame_index + packet - newest->first;
}

static void history_free(lp_history *history)
{
    if (!history)
        return;
    for (int i = 0; i < LP_SEGMENTS; i++)
        stream_unref(history->segments[i].stream);
    free(history);
}

/* The run that holds a sequence number, and its full index; NULL when nothing was sent under it or
 * that is forgotten. */
static const lp_segment *history_find(const lp_track *track, uint16_t sequence, uint64_t *index)
{
    const lp_history *history = track->history;
    uint64_t guess = (track->index & ~0xffffull) | sequence;
    if (guess >= track->index) {
        if (guess < 0x10000)
            return NULL;
        guess -= 0x10000;
    }
    uint32_t kept = history->used < LP_SEGMENTS ? history->used : LP_SEGMENTS;
    for (uint32_t i = 1; i <= kept; i++) {
        const lp_segment *segment = &history->segments[(history->used - i) % LP_SEGMENTS];
        if (guess >= segment->first) {
            *index = guess;
            return guess - segment->first < segment->count ? segment : NULL;
        }
    }
    return NULL;
}

/* Whether the sequence number was asked for within the last 20 ms (two NACKs crossing). */
static int history_repeats(lp_history *history, uint16_t sequence, int64_t now)
{
    uint32_t at = sequence % LP_RECENT, ms = (uint32_t)(now / LP_MS);
    int repeats = history->recent[at].set && history->recent[at].sequence == sequence &&
                  ms - history->recent[at].ms < 20;
    if (!repeats) {
        history->recent[at].set = 1;
        history->recent[at].sequence = sequence;
        history->recent[at].ms = ms;
    }
    return repeats;
}
