/*
 * Sockets of a shard: duplicates of the transport's, one for all viewers that share it.
 */

/* The shard's socket for a descriptor, which it takes over; equal sockets are one. */
static lp_socket *socket_take(lp_shard *shard, int fd)
{
    struct stat status;
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    if (fstat(fd, &status) || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size)) {
        close(fd);
        return NULL;
    }
    for (lp_list *at = shard->sockets.next; at != &shard->sockets; at = at->next) {
        lp_socket *known = LP_OF(lp_socket, link, at);
        if (known->inode == status.st_ino && known->device == status.st_dev) {
            close(fd);
            known->refs++;
            return known;
        }
    }
    lp_socket *made = calloc(1, sizeof *made);
    if (!made) {
        close(fd);
        return NULL;
    }
    made->fd = fd;
    made->family = family;
    made->device = status.st_dev;
    made->inode = status.st_ino;
    made->refs = 1;
    made->burst = LP_BATCH_TURNS;
    list_init(&made->ready);
    list_insert(&shard->sockets, &made->link);
    return made;
}

static void socket_open(lp_shard *shard, lp_socket *socket)
{
    if (socket->polled)
        epoll_ctl(shard->epoll, EPOLL_CTL_DEL, socket->fd, NULL);
    socket->blocked = socket->polled = 0;
    socket->retry_ns = 0;
}

static void socket_release(lp_shard *shard, lp_socket *socket)
{
    if (!socket || --socket->refs)
        return;
    socket_open(shard, socket);
    if (shard->batch->socket == socket)
        shard->batch->socket = NULL;
    list_remove(&socket->link);
    close(socket->fd);
    free(socket);
}

/* Waits for room. A socket that is full again without having sent anything (an error queue keeps
 * it readable for epoll; ENOBUFS is not the socket's) is asked again after a millisecond. */
static void socket_block(lp_shard *shard, lp_socket *socket, int error, int64_t now)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = socket};
    socket->blocked = 1;
    socket->burst = socket->burst > 16 ? socket->burst / 2 : 8;
    LP_ADD(shard->stats.blocked, 1);
    if (error == EAGAIN && socket->progressed &&
        epoll_ctl(shard->epoll, EPOLL_CTL_ADD, socket->fd, &event) == 0)
        socket->polled = 1;
    else
        socket->retry_ns = now + LP_MS;
    socket->progressed = 0;
}
