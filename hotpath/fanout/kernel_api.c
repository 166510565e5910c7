/*
 * What Python calls: kernels, viewers and their commands. Nothing here waits, but the end.
 */

/* ---- kernels ------------------------------------------------------------------------------------ */

static void shard_free(lp_shard *shard)
{
    EVP_CIPHER_CTX_free(shard->rtcp_gcm);
    EVP_CIPHER_CTX_free(shard->rtcp_ctr);
    imb_manager_free(shard->imb);
    if (shard->epoll >= 0)
        close(shard->epoll);
    if (shard->event >= 0)
        close(shard->event);
    if (shard->kernel)
        pthread_mutex_destroy(&shard->lock);
    free(shard->batch);
}

static void kernel_unref(lp_kernel *kernel)
{
    if (!kernel || __atomic_sub_fetch(&kernel->refs, 1, __ATOMIC_ACQ_REL))
        return;
    for (int i = 0; i < kernel->shards; i++)
        shard_free(&kernel->shard[i]);
    free(kernel);
}

static int shard_init(lp_kernel *kernel, lp_shard *shard, int number)
{
    struct epoll_event event = {.events = EPOLLIN};
    shard->kernel = kernel;
    shard->number = number;
    pthread_mutex_init(&shard->lock, NULL);
    shard->last = &shard->first;
    list_init(&shard->viewers);
    list_init(&shard->subscriptions);
    list_init(&shard->sockets);
    list_init(&shard->paced);
    shard->batch = calloc(1, sizeof *shard->batch);
    shard->epoll = epoll_create1(EPOLL_CLOEXEC);
    shard->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    shard->rtcp_gcm = EVP_CIPHER_CTX_new();
    shard->rtcp_ctr = EVP_CIPHER_CTX_new();
    if (kernel->crypto == LP_CRYPTO_AUTO)
        shard->imb = imb_manager();
    return shard->batch && shard->epoll >= 0 && shard->event >= 0 && shard->rtcp_gcm &&
           shard->rtcp_ctr &&
           EVP_EncryptInit_ex(shard->rtcp_gcm, EVP_aes_128_gcm(), NULL, NULL, NULL) &&
           EVP_EncryptInit_ex(shard->rtcp_ctr, EVP_aes_128_ctr(), NULL, NULL, NULL) &&
           !epoll_ctl(shard->epoll, EPOLL_CTL_ADD, shard->event, &event);
}

/* Signals are Python's main thread's. */
static int shard_start(lp_shard *shard)
{
    sigset_t all, before;
    char name[16];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&shard->thread, NULL, shard_run, shard);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return 0;
    shard->started = 1;
    snprintf(name, sizeof name, "lp-fanout-%d", shard->number);
    pthread_setname_np(shard->thread, name);
    return 1;
}

/* Ends the threads; viewers get a BYE. The second time it does nothing. */
void lp_kernel_close(lp_kernel *kernel)
{
    for (int i = 0; i < kernel->shards; i++) {
        lp_shard *shard = &kernel->shard[i];
        if (!shard->kernel)
            continue;
        pthread_mutex_lock(&shard->lock);
        shard->stopping = 1;
        pthread_mutex_unlock(&shard->lock);
        if (shard->started)
            shard_wake(shard);
    }
    for (int i = 0; i < kernel->shards; i++) {
        lp_shard *shard = &kernel->shard[i];
        if (shard->started)
            pthread_join(shard->thread, NULL);
        shard->started = 0;
    }
}

void lp_kernel_release(lp_kernel *kernel)
{
    lp_kernel_close(kernel);
    kernel_unref(kernel);
}

lp_kernel *lp_kernel_new(int shards, int crypto)
{
    lp_kernel *kernel = calloc(1, sizeof *kernel + (size_t)shards * sizeof(lp_shard));
    if (!kernel)
        return NULL;
    kernel->refs = 1;
    kernel->crypto = crypto;
    kernel->shards = shards;
    for (int i = 0; i < shards; i++)
        kernel->shard[i].epoll = kernel->shard[i].event = -1;
    for (int i = 0; i < shards; i++)
        if (!shard_init(kernel, &kernel->shard[i], i) || !shard_start(&kernel->shard[i])) {
            int error = errno;
            lp_kernel_release(kernel);
            errno = error;
            return NULL;
        }
    return kernel;
}

int lp_kernel_accelerated(const lp_kernel *kernel)
{
    return kernel->shard[0].imb != NULL;
}

void lp_shard_stats_of(const lp_kernel *kernel, int number, lp_shard_stats *out)
{
    const lp_shard *shard = &kernel->shard[number];
    const uint64_t *from = (const uint64_t *)&shard->stats;
    uint64_t *to = (uint64_t *)out;
    for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
        to[i] = LP_LOAD(from[i]);
}

/* ---- viewers ------------------------------------------------------------------------------------ */

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

/* A duplicate of the path's descriptor, if that can be sent on; else -1 and errno. */
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
    if (kind != SOCK_DGRAM) {
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

/* Returns NULL and sets errno when the path is no datagram socket or memory is short. */
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
    return viewer;
}

int lp_viewer_path(lp_viewer *viewer, const lp_path_spec *path)
{
    return command_path(viewer, LP_PATH, path);
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
    return command_simple(viewer, LP_CLOSE_VIEWER, 0, NULL, bye);
}

void lp_viewer_release(lp_viewer *viewer)
{
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
