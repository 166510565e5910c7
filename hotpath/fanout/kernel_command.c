/*
 * Commands: how they reach the shard that owns a viewer, and what they do there.
 */

enum {
    LP_ADD_VIEWER,
    LP_CLOSE_VIEWER,
    LP_ATTACH,
    LP_SWITCH,
    LP_DETACH,
    LP_RESEND,
    LP_NACK,
    LP_RTCP,
    LP_PATH,
};

static void viewer_unref(lp_viewer *viewer)
{
    if (!viewer || __atomic_sub_fetch(&viewer->refs, 1, __ATOMIC_ACQ_REL))
        return;
    cipher_free(viewer);
    explicit_bzero(&viewer->opener, sizeof viewer->opener);
    for (int i = 0; i < viewer->tracks; i++)
        history_free(viewer->track[i].history);
    kernel_unref(viewer->kernel);
    free(viewer);
}

/* ---- the queue ---------------------------------------------------------------------------------- */

static lp_command *command_new(int kind, lp_viewer *viewer, lp_stream *stream, uint32_t bytes)
{
    lp_command *command = calloc(1, sizeof *command + bytes);
    if (!command)
        return NULL;
    command->kind = kind;
    command->fd = -1;
    command->viewer = viewer;
    __atomic_add_fetch(&viewer->refs, 1, __ATOMIC_RELAXED);
    command->stream = stream ? stream_ref(stream) : NULL;
    return command;
}

static void command_free(lp_command *command)
{
    if (command->fd >= 0)
        close(command->fd);
    stream_unref(command->stream);
    viewer_unref(command->viewer);
    free(command);
}

/* Hands a command over, in order. Returns 0; -1 when the shard has stopped or, for what a remote
 * peer can cause, is too far behind. */
static int shard_command(lp_shard *shard, lp_command *command)
{
    int droppable = command->kind == LP_NACK || command->kind == LP_RTCP;
    pthread_mutex_lock(&shard->lock);
    int refused = shard->stopping || (droppable && LP_LOAD(shard->stats.queued) >= LP_QUEUE_MAX);
    if (!refused) {
        *shard->last = command;
        shard->last = &command->next;
        __atomic_add_fetch(&shard->stats.queued, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&shard->lock);
    if (refused) {
        __atomic_add_fetch(&shard->stats.refused_commands, 1, __ATOMIC_RELAXED);
        command_free(command);
        return -1;
    }
    shard_wake(shard);
    return 0;
}

/* ---- what commands do ---------------------------------------------------------------------------- */

static void viewer_set_path(lp_shard *shard, lp_viewer *viewer, lp_command *command)
{
    const lp_path_spec *path = &command->path;
    batch_flush(shard); /* it may hold packets for the old address */
    lp_socket *old = viewer->socket;
    viewer->socket = socket_take(shard, command->fd);
    command->fd = -1;
    if (!viewer->socket) {
        viewer->socket = old;
        count_error(shard, viewer, ENOTSOCK);
        return;
    }
    memset(&viewer->address, 0, sizeof viewer->address);
    viewer->connected = path->family == 0;
    viewer->gso = !viewer->connected;
    LP_SET(viewer->stats.gso, viewer->gso);
    if (viewer->socket->family == AF_INET) {
        viewer->address.v4.sin_family = AF_INET;
        viewer->address.v4.sin_port = htons(path->port);
        memcpy(&viewer->address.v4.sin_addr, path->address, 4);
        viewer->address_size = sizeof viewer->address.v4;
    } else {
        viewer->address.v6.sin6_family = AF_INET6;
        viewer->address.v6.sin6_port = htons(path->port);
        viewer->address.v6.sin6_scope_id = path->scope;
        uint8_t *address = viewer->address.v6.sin6_addr.s6_addr;
        if (path->family == 4) { /* RFC 4291 2.5.5.2: mapped */
            address[10] = address[11] = 0xff;
            memcpy(address + 12, path->address, 4);
        } else {
            memcpy(address, path->address, 16);
        }
        viewer->address_size = sizeof viewer->address.v6;
    }
    for (int i = 0; i < viewer->tracks; i++)
        if (viewer->track[i].frame) { /* goes on where it was, on the new path */
            list_remove(&viewer->track[i].ready);
            list_insert(&viewer->socket->ready, &viewer->track[i].ready);
        }
    socket_release(shard, old);
}

static void viewer_add(lp_shard *shard, lp_viewer *viewer, lp_command *command)
{
    viewer_set_path(shard, viewer, command);
    list_insert(&shard->viewers, &viewer->link);
    LP_ADD(shard->stats.viewers, 1);
    __atomic_add_fetch(&viewer->refs, 1, __ATOMIC_RELAXED);
}

static void viewer_close(lp_shard *shard, lp_viewer *viewer, int bye)
{
    if (viewer->closed)
        return;
    viewer->closed = 1;
    for (int i = 0; i < viewer->tracks; i++)
        track_detach(&viewer->track[i]);
    if (bye && viewer->socket)
        viewer_bye(shard, viewer);
    batch_flush(shard);
    for (int i = 0; i < viewer->tracks; i++) {
        history_free(viewer->track[i].history);
        viewer->track[i].history = NULL;
    }
    socket_release(shard, viewer->socket);
    viewer->socket = NULL;
    list_remove(&viewer->link);
    cipher_free(viewer);
    memset(&viewer->rtp, 0, sizeof viewer->rtp);
    LP_ADD(shard->stats.viewers, (uint64_t)-1);
    __atomic_sub_fetch(&shard->load, 1, __ATOMIC_RELAXED);
    viewer_unref(viewer);
}

static lp_track *viewer_track(lp_viewer *viewer, int video)
{
    for (int i = 0; i < viewer->tracks; i++)
        if (!viewer->track[i].spec.video == !video)
            return &viewer->track[i];
    return NULL;
}

static void shard_obey(lp_shard *shard, lp_command *command)
{
    lp_viewer *viewer = command->viewer;
    int64_t now = now_ns();
    if (viewer->closed)
        return;
    lp_track *track = viewer_track(viewer, command->video);
    if (command->kind == LP_ADD_VIEWER)
        viewer_add(shard, viewer, command);
    else if (command->kind == LP_CLOSE_VIEWER)
        viewer_close(shard, viewer, command->option);
    else if (command->kind == LP_PATH)
        viewer_set_path(shard, viewer, command);
    else if (!viewer->socket)
        return;
    else if (command->kind == LP_NACK)
        viewer_nack(shard, viewer, command, now);
    else if (command->kind == LP_RTCP)
        rtcp_send(shard, viewer, command->data, command->length);
    else if (!track)
        return;
    else if (command->kind == LP_ATTACH)
        track_attach(shard, track, command->stream, command->option, now);
    else if (command->kind == LP_SWITCH)
        track_switch(shard, track, command->stream, now);
    else if (command->kind == LP_DETACH)
        track_detach(track);
    else if (command->kind == LP_RESEND)
        track_resend(shard, track, now);
}

static void shard_obey_all(lp_shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    lp_command *command = shard->first;
    shard->first = NULL;
    shard->last = &shard->first;
    shard->stopped = shard->stopping;
    pthread_mutex_unlock(&shard->lock);
    while (command) {
        lp_command *next = command->next;
        shard_obey(shard, command);
        command_free(command);
        __atomic_sub_fetch(&shard->stats.queued, 1, __ATOMIC_RELEASE);
        command = next;
    }
}
