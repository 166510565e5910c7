/*
 * A stream's ring of plaintext frames: one writer, read by reference from every shard.
 *
 * Bounded by bytes and by frames; it holds the current GOP if that fits, and two seconds for RTX.
 */

static void frame_unref(lp_frame *frame)
{
    if (frame && __atomic_sub_fetch(&frame->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(frame);
}

static lp_frame *frame_ref(lp_frame *frame)
{
    __atomic_add_fetch(&frame->refs, 1, __ATOMIC_RELAXED);
    return frame;
}

static inline const uint8_t *frame_payload(const lp_frame *frame, uint32_t packet)
{
    return (const uint8_t *)(frame->offset + frame->packets + 1) + frame->offset[packet];
}

static inline uint32_t frame_size(const lp_frame *frame, uint32_t packet)
{
    return frame->offset[packet + 1] - frame->offset[packet];
}

static lp_stream *stream_ref(lp_stream *stream)
{
    __atomic_add_fetch(&stream->refs, 1, __ATOMIC_RELAXED);
    return stream;
}

static void ring_evict(lp_stream *stream)
{
    lp_frame *frame = stream->ring[stream->tail & stream->mask];
    if (stream->tail == stream->keyframe)
        stream->keyframe = LP_NONE;
    stream->ring[stream->tail++ & stream->mask] = NULL;
    stream->bytes -= frame->bytes;
    frame_unref(frame);
}

static void stream_unref(lp_stream *stream)
{
    if (!stream || __atomic_sub_fetch(&stream->refs, 1, __ATOMIC_ACQ_REL))
        return;
    while (stream->tail < stream->head)
        ring_evict(stream);
    pthread_mutex_destroy(&stream->lock);
    kernel_unref(stream->kernel);
    free(stream->ring);
    free(stream);
}

lp_stream *lp_stream_new(lp_kernel *kernel, uint32_t clock_hz, int video, size_t max_bytes,
                         uint32_t max_frames)
{
    uint32_t capacity = 16;
    while (capacity < max_frames + 1)
        capacity *= 2;
    lp_stream *stream = calloc(1, sizeof *stream + (size_t)kernel->shards * sizeof(lp_delay));
    lp_frame **ring = calloc(capacity, sizeof *ring);
    if (!stream || !ring) {
        free(stream);
        free(ring);
        return NULL;
    }
    stream->refs = 1;
    stream->kernel = kernel;
    __atomic_add_fetch(&kernel->refs, 1, __ATOMIC_RELAXED);
    stream->id = __atomic_add_fetch(&kernel->streams, 1, __ATOMIC_RELAXED);
    stream->clock_hz = clock_hz;
    stream->video = video;
    stream->ring = ring;
    stream->mask = capacity - 1;
    stream->max_bytes = max_bytes;
    stream->max_frames = max_frames;
    stream->keyframe = LP_NONE;
    pthread_mutex_init(&stream->lock, NULL);
    return stream;
}

/* ---- writing ------------------------------------------------------------------------------------ */

static lp_frame *frame_new(const uint8_t *data, const uint16_t *sizes, uint32_t packets)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < packets; i++)
        total += sizes[i];
    lp_frame *frame = malloc(sizeof *frame + (packets + 1) * sizeof *frame->offset + total);
    if (!frame)
        return NULL;
    frame->refs = 1;
    frame->packets = packets;
    frame->bytes = total;
    frame->offset[0] = 0;
    for (uint32_t i = 0; i < packets; i++)
        frame->offset[i + 1] = frame->offset[i] + sizes[i];
    memcpy((uint8_t *)(frame->offset + packets + 1), data, total);
    return frame;
}

static void ring_measure(lp_stream *stream, const lp_frame *frame)
{
    int64_t elapsed = frame->pushed_ns - stream->window_ns;
    stream->window_bytes += frame->bytes;
    if (elapsed < LP_SECOND)
        return;
    if (stream->window_ns)
        stream->bytes_per_second = stream->window_bytes * LP_SECOND / (uint64_t)elapsed;
    stream->window_ns = frame->pushed_ns;
    stream->window_bytes = 0;
}

static void ring_append(lp_stream *stream, lp_frame *frame)
{
    frame->id = stream->head;
    frame->first_packet = stream->packets;
    stream->packets += frame->packets;
    stream->bytes += frame->bytes;
    stream->ring[stream->head++ & stream->mask] = frame;
    if (frame->keyframe)
        stream->keyframe = frame->id;
    ring_measure(stream, frame);
    for (;;) {
        const lp_frame *oldest = stream->ring[stream->tail & stream->mask];
        int full = stream->bytes > stream->max_bytes ||
                   stream->head - stream->tail > stream->max_frames;
        int old = stream->keyframe != LP_NONE && stream->tail < stream->keyframe &&
                  frame->pushed_ns - oldest->pushed_ns > LP_HISTORY_NS;
        if (stream->head - stream->tail == 1 || !(full || old))
            break;
        ring_evict(stream);
    }
}

static void shard_wake(lp_shard *shard)
{
    uint64_t one = 1;
    if (!__atomic_exchange_n(&shard->signalled, 1, __ATOMIC_SEQ_CST))
        while (write(shard->event, &one, sizeof one) < 0 && errno == EINTR)
            ;
}

/* Wakes the shards that had viewers on the stream when its lock was held. */
static void wake_all(lp_stream *stream, const uint8_t *subscribed)
{
    for (int i = 0; i < stream->kernel->shards; i++)
        if (subscribed[i])
            shard_wake(&stream->kernel->shard[i]);
}

/* Copies a frame into the ring. Returns 0; -1: no memory; 1: the stream has been closed. */
int lp_stream_push(lp_stream *stream, const uint8_t *data, const uint16_t *sizes, uint32_t packets,
                   int64_t timestamp, int keyframe, int64_t wall_ns, int64_t capture_ns,
                   int64_t patience_ns)
{
    uint8_t subscribed[LP_SHARDS_MAX];
    lp_frame *frame = frame_new(data, sizes, packets);
    if (!frame)
        return -1;
    frame->timestamp = timestamp;
    frame->keyframe = keyframe != 0;
    frame->wall_ns = wall_ns;
    frame->capture_ns = capture_ns;
    frame->patience_ns = patience_ns;
    pthread_mutex_lock(&stream->lock);
    int closed = stream->closed;
    frame->pushed_ns = now_ns();
    if (!closed) {
        ring_append(stream, frame);
        memcpy(subscribed, stream->subscribed, sizeof subscribed);
        __atomic_add_fetch(&stream->published, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&stream->lock);
    if (closed)
        free(frame);
    else
        wake_all(stream, subscribed);
    return closed;
}

/* No more frames; the viewers are let go by their shards. */
void lp_stream_close(lp_stream *stream)
{
    uint8_t subscribed[LP_SHARDS_MAX];
    pthread_mutex_lock(&stream->lock);
    stream->closed = 1;
    while (stream->tail < stream->head)
        ring_evict(stream);
    memcpy(subscribed, stream->subscribed, sizeof subscribed);
    __atomic_add_fetch(&stream->published, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&stream->lock);
    wake_all(stream, subscribed);
}

void lp_stream_release(lp_stream *stream)
{
    lp_stream_close(stream);
    stream_unref(stream);
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* The frame, or NULL when the ring does not hold it. */
static lp_frame *ring_get(lp_stream *stream, uint64_t id)
{
    lp_frame *frame = NULL;
    pthread_mutex_lock(&stream->lock);
    if (id >= stream->tail && id < stream->head)
        frame = frame_ref(stream->ring[id & stream->mask]);
    pthread_mutex_unlock(&stream->lock);
    return frame;
}

/* The frame that packet `number` of the stream belongs to, or NULL. */
static lp_frame *ring_find_packet(lp_stream *stream, uint64_t number)
{
    lp_frame *frame = NULL;
    pthread_mutex_lock(&stream->lock);
    uint64_t low = stream->tail, high = stream->head;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        lp_frame *candidate = stream->ring[middle & stream->mask];
        if (candidate->first_packet > number) {
            high = middle;
        } else if (candidate->first_packet + candidate->packets <= number) {
            low = middle + 1;
        } else {
            frame = frame_ref(candidate);
            break;
        }
    }
    pthread_mutex_unlock(&stream->lock);
    return frame;
}

void lp_stream_stats_of(lp_stream *stream, lp_stream_stats *out, lp_delay *delay)
{
    memset(delay, 0, sizeof *delay);
    for (int i = 0; i < stream->kernel->shards; i++) {
        const lp_delay *one = &stream->delays[i];
        uint64_t most = LP_LOAD(one->max_ns);
        delay->count += LP_LOAD(one->count);
        delay->sum_ns += LP_LOAD(one->sum_ns);
        delay->max_ns = most > delay->max_ns ? most : delay->max_ns;
        for (int b = 0; b < LP_DELAY_BUCKETS; b++)
            delay->buckets[b] += LP_LOAD(one->buckets[b]);
    }
    pthread_mutex_lock(&stream->lock);
    out->id = stream->id;
    out->frames = stream->head - stream->tail;
    out->bytes = stream->bytes;
    out->oldest = stream->tail;
    out->head = stream->head;
    out->bytes_per_second = stream->bytes_per_second;
    out->newest_timestamp =
        out->frames ? stream->ring[(stream->head - 1) & stream->mask]->timestamp : LP_UNKNOWN;
    out->has_keyframe = stream->keyframe != LP_NONE;
    out->closed = stream->closed;
    pthread_mutex_unlock(&stream->lock);
}
