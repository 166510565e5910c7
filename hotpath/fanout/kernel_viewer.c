/*
 * What Python calls for a viewer: each is a command to its shard, or reads its counters.
 */

static lp_shard *kernel_lightest(lp_kernel *kernel)
{
    lp_shard *best = &kernel->shard[0];
    for (int i = 1; i < kernel->shards; i++)
        if (LP_LOAD(kernel->shard[i].load) < LP_LOAD(best->load))
            best = &kernel->shard[i];
    return best;
}

static int track_init(lp_viewer *viewer, lp_track *track, const lp_track_spec *spec)
{
    track->viewer = viewer;
    track->spec = *spec;
    track->index = spec->first_sequence;
    track->rtx_index = spec->rtx_first_sequence;
    track->captured_ns = -LP_SECOND;
    list_init(&track->member);
    list_init(&track->pending_member);
    list_init(&track->paced);
    list_init(&track->ready);
    if (spec->rtx_payload_type)
        track->history = calloc(1, sizeof *track->history);
    return !spec->rtx_payload_type || track->history;
}

/* A duplicate of the path's descriptor, if that can be sent on; else -1 and errno. A socket keeps
 * packets apart: datagrams, and where it is connected (ICE-TCP's pair) SOCK_SEQPACKET too. */
static int path_open(const lp_path_spec *path)
{
    int family = AF_UNSPEC, kind = 0;
    socklen_t size = sizeof family;
    if (getsockopt(path->fd, SOL_SOCKET, SO_DOMAIN, &family, &size) ||
        getsockopt(path->fd, SOL_SOCKET, SO_TYPE, &kind, &size))
        return -1;
    if (path->family && family != AF_INET6 && !(family == AF_INET && path->family == 4)) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    if (kind != SOCK_DGRAM && (path->family || kind != SOCK_SEQPACKET)) {
        errno = EPROTOTYPE;
        return -1;
    }
    return fcntl(path->fd, F_DUPFD_CLOEXEC, 3);
}

static int command_path(lp_viewer *viewer, int kind, const lp_path_spec *path)
{
    int fd = path_open(path);
    if (fd < 0)
        return -1;
    lp_command *command = command_new(kind, viewer, NULL, 0);
    if (!command) {
        close(fd);
        errno = ENOMEM;
        return -1;
    }
    command->fd = fd;
    command->path = *path;
    if (shard_command(viewer->shard, command)) {
        errno = ESHUTDOWN;
        return -1;
    }
    return 0;
}

/* Returns NULL and sets errno when the path keeps no packets apart or memory is short. */
lp_viewer *lp_viewer_new(lp_kernel *kernel, const lp_viewer_spec *spec, const lp_path_spec *path,
                         const lp_track_spec *tracks, int count)
{
    lp_viewer *viewer = calloc(1, sizeof *viewer);
    if (!viewer)
        return NULL;
    viewer->refs = 1;
    viewer->kernel = kernel;
    __atomic_add_fetch(&kernel->refs, 1, __ATOMIC_RELAXED);
    viewer->shard = kernel_lightest(kernel);
    list_init(&viewer->link);
    memcpy(viewer->cname, spec->cname, sizeof viewer->cname);
    viewer->rtx_rate = spec->rtx_rate;
    viewer->rtx_burst = spec->rtx_burst;
    viewer->rtx_tokens = spec->rtx_burst;
    viewer->heard[0].round_trip_ns = viewer->heard[1].round_trip_ns = viewer->remb = -1;
    int good = cipher_init(viewer, spec) == 0;
    if (kernel->crypto == LP_CRYPTO_NONE)
        viewer->cipher = LP_CIPHER_NONE;
    for (; good && viewer->tracks < count; viewer->tracks++)
        good = track_init(viewer, &viewer->track[viewer->tracks], &tracks[viewer->tracks]);
    if (!good)
        errno = ENOMEM;
    if (!good || command_path(viewer, LP_ADD_VIEWER, path)) {
        int error = errno;
        viewer_unref(viewer);
        errno = error;
        return NULL;
    }
    __atomic_add_fetch(&viewer->shard->load, 1, __ATOMIC_RELAXED);
    intake_lead(viewer, path);
    return viewer;
}

int lp_viewer_path(lp_viewer *viewer, const lp_path_spec *path)
{
    if (command_path(viewer, LP_PATH, path))
        return -1;
    intake_lead(viewer, path);
    return 0;
}

/* attach, switch, detach, resend, close */
static int command_simple(lp_viewer *viewer, int kind, int video, lp_stream *stream, int option)
{
    lp_command *command = command_new(kind, viewer, stream, 0);
    if (!command)
        return -1;
    command->video = video;
    command->option = option;
    return shard_command(viewer->shard, command);
}

int lp_viewer_attach(lp_viewer *viewer, int video, lp_stream *stream, int start)
{
    return command_simple(viewer, LP_ATTACH, video, stream, start);
}

int lp_viewer_switch(lp_viewer *viewer, lp_stream *stream)
{
    return command_simple(viewer, LP_SWITCH, 1, stream, 0);
}

int lp_viewer_detach(lp_viewer *viewer, int video)
{
    return command_simple(viewer, LP_DETACH, video, NULL, 0);
}

int lp_viewer_resend(lp_viewer *viewer)
{
    return command_simple(viewer, LP_RESEND, 1, NULL, 0);
}

int lp_viewer_close(lp_viewer *viewer, int bye)
{
    intake_lead(viewer, NULL);
    return command_simple(viewer, LP_CLOSE_VIEWER, 0, NULL, bye);
}

void lp_viewer_release(lp_viewer *viewer)
{
    intake_lead(viewer, NULL);
    command_simple(viewer, LP_CLOSE_VIEWER, 0, NULL, 0);
    viewer_unref(viewer);
}

int lp_viewer_nack(lp_viewer *viewer, uint32_t ssrc, const uint16_t *sequences, uint32_t count)
{
    uint32_t taken = count < LP_NACKS_MAX ? count : LP_NACKS_MAX;
    lp_command *command = command_new(LP_NACK, viewer, NULL, taken * sizeof *sequences);
    if (!command)
        return -1;
    command->ssrc = ssrc;
    command->length = taken;
    command->option = (int)(count - taken);
    memcpy(command->data, sequences, taken * sizeof *sequences);
    return shard_command(viewer->shard, command);
}

int lp_viewer_rtcp(lp_viewer *viewer, const uint8_t *plain, uint32_t size)
{
    lp_command *command = command_new(LP_RTCP, viewer, NULL, size);
    if (!command)
        return -1;
    command->length = size;
    memcpy(command->data, plain, size);
    return shard_command(viewer->shard, command);
}

void lp_viewer_stats_of(lp_viewer *viewer, lp_viewer_stats *out)
{
    const lp_viewer_stats *stats = &viewer->stats;
    out->packets = LP_LOAD(stats->packets);
    out->bytes = LP_LOAD(stats->bytes);
    out->frames = LP_LOAD(stats->frames);
    out->rtx = LP_LOAD(stats->rtx);
    out->rtx_bytes = LP_LOAD(stats->rtx_bytes);
    out->rtx_refused = LP_LOAD(stats->rtx_refused);
    out->frames_dropped = LP_LOAD(stats->frames_dropped);
    out->errors = LP_LOAD(stats->errors);
    out->sr = LP_LOAD(stats->sr);
    out->stream = LP_LOAD(stats->stream);
    out->behind_ns = LP_LOAD(stats->behind_ns);
    out->last_errno = LP_LOAD(stats->last_errno);
    out->gso = LP_LOAD(stats->gso);
}

/* How long ago, in nanoseconds, the sender report that a receiver report names (its LSR, and the
 * delay since in 1/65536 s) was sent, less that delay; -1 when it is not one of the last two. */
int64_t lp_viewer_round_trip(lp_viewer *viewer, uint32_t ssrc, uint32_t lsr, uint32_t dlsr)
{
    for (int t = 0; t < viewer->tracks; t++)
        for (int i = 0; i < 2; i++) {
            uint64_t sent = LP_LOAD(viewer->track[t].sr_sent[i]);
            if (viewer->track[t].spec.ssrc != ssrc || !sent || (uint32_t)(sent >> 32) != lsr)
                continue;
            uint32_t elapsed = (uint32_t)(now_ns() / 1000) - (uint32_t)sent;
            int64_t trip = (int64_t)elapsed * 1000 - ((int64_t)dlsr * LP_SECOND >> 16);
            return trip < 0 ? 0 : trip;
        }
    return -1;
}

int64_t lp_now_ns(void)
{
    return now_ns();
}
