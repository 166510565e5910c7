/*
 * Datagrams that viewers send: reports are read here, everything else is left to Python.
 *
 * What a viewer sends every second needs no decision at once: receiver reports and REMB are opened,
 * and kept as figures until somebody looks. A packet is taken here only whole: from the viewer's
 * present path, authentic, no replay, nothing in it but those. Whatever is not taken goes to Python
 * as it came, which judges it as if this were not here.
 */

#define LP_RTCP_RR 201
#define LP_RTCP_SDES 202
#define LP_RTCP_PSFB 206
#define LP_REMB_FORMAT 15

/* ---- who sends from where ------------------------------------------------------------------------ */

static uint32_t route_bucket(const lp_route *route)
{
    const uint8_t *at = (const uint8_t *)route;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof *route; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return (hash ^ hash >> 16) % LP_BUCKETS;
}

static lp_viewer *intake_find(lp_intake *intake, const lp_route *route)
{
    lp_viewer *viewer = intake->bucket[route_bucket(route)];
    while (viewer && memcmp(&viewer->route, route, sizeof *route))
        viewer = viewer->neighbour;
    return viewer;
}

static void intake_remove(lp_intake *intake, lp_viewer *viewer)
{
    lp_viewer **at = &intake->bucket[route_bucket(&viewer->route)];
    while (*at && *at != viewer)
        at = &(*at)->neighbour;
    if (*at)
        *at = viewer->neighbour;
    viewer->neighbour = NULL;
}

/* The viewer's reports come by this path from now on; NULL: it is gone. The last one who comes by
 * a path has it: who had it before was silent, or it would not have been given away. */
static void intake_lead(lp_viewer *viewer, const lp_path_spec *path)
{
    lp_intake *intake = &viewer->kernel->intake;
    pthread_mutex_lock(&intake->lock);
    intake_remove(intake, viewer);
    viewer->heard_ns = 0;
    memset(&viewer->route, 0, sizeof viewer->route);
    if (path && path->family) {
        lp_route *route = &viewer->route;
        route->fd = path->fd;
        route->family = path->family;
        route->port = path->port;
        route->scope = path->family == 6 ? path->scope : 0;
        memcpy(route->address, path->address, path->family == 4 ? 4 : 16);
        lp_viewer *before = intake_find(intake, route);
        if (before)
            intake_remove(intake, before);
        lp_viewer **bucket = &intake->bucket[route_bucket(route)];
        viewer->neighbour = *bucket;
        *bucket = viewer;
    }
    pthread_mutex_unlock(&intake->lock);
}

/* ---- reports ------------------------------------------------------------------------------------ */

static int is_remb(const uint8_t *body, uint32_t size)
{
    return size >= 16 && !memcmp(body + 8, "REMB", 4);
}

/* Whether the compound packet is well-formed and holds only what is read here. */
static int only_reports(const uint8_t *plain, uint32_t size)
{
    uint32_t at = 0;
    while (at < size) {
        if (size - at < 4 || (plain[at] & 0xe0) != 0x80) /* version 2, no padding */
            return 0;
        uint32_t count = plain[at] & 31, kind = plain[at + 1], body = 4 * get16(plain + at + 2);
        if (body > size - at - 4)
            return 0;
        int fits = kind == LP_RTCP_SDES || (kind == LP_RTCP_RR && body >= 4 + 24 * count) ||
                   (kind == LP_RTCP_PSFB && count == LP_REMB_FORMAT &&
                    is_remb(plain + at + 4, body));
        if (!fits)
            return 0;
        at += 4 + body;
    }
    return 1;
}

/* RFC 3550 6.4.1 */
static void take_block(lp_viewer *viewer, const uint8_t *block)
{
    for (int i = 0; i < viewer->tracks; i++) {
        lp_reception *heard = &viewer->heard[i];
        if (viewer->track[i].spec.ssrc != get32(block))
            continue;
        heard->worst_lost = block[4] > heard->worst_lost ? block[4] : heard->worst_lost;
        heard->jitter = get32(block + 12);
        heard->reports++;
        int64_t trip =
            lp_viewer_round_trip(viewer, get32(block), get32(block + 16), get32(block + 20));
        if (trip >= 0)
            heard->round_trip_ns = trip;
    }
}

/* draft-alvestrand-rmcat-remb-03 2.2; what does not fit 63 bits is the most that does. */
static int64_t remb_rate(const uint8_t *body)
{
    uint64_t mantissa = (uint64_t)(body[13] & 3) << 16 | (uint64_t)get16(body + 14);
    uint32_t exponent = body[13] >> 2;
    return mantissa > (uint64_t)INT64_MAX >> exponent ? INT64_MAX : (int64_t)(mantissa << exponent);
}

static void take_reports(lp_viewer *viewer, const uint8_t *plain, uint32_t size)
{
    for (uint32_t at = 0; at < size; at += 4 + 4 * get16(plain + at + 2)) {
        const uint8_t *body = plain + at + 4;
        if (plain[at + 1] == LP_RTCP_RR)
            for (uint32_t i = 0; i < (plain[at] & 31u); i++)
                take_block(viewer, body + 4 + 24 * i);
        else if (plain[at + 1] == LP_RTCP_PSFB)
            viewer->remb = remb_rate(body);
    }
}

/* Returns 1 when the datagram was a viewer's reports, which are then noted. */
static int intake_take(lp_intake *intake, const lp_route *route, const uint8_t *data, uint32_t size,
                       int64_t now)
{
    uint8_t plain[LP_RTCP_IN_MAX];
    uint32_t length, index;
    lp_viewer *viewer = intake_find(intake, route);
    if (!viewer || srtcp_open(intake, &viewer->opener, data, size, plain, &length, &index) ||
        !only_reports(plain, length))
        return 0;
    replay_note(&viewer->opener, get32(data + 4), index);
    viewer->heard_ns = now;
    take_reports(viewer, plain, length);
    return 1;
}

/* ---- datagrams ---------------------------------------------------------------------------------- */

static void datagram_source(lp_datagram *datagram, const struct sockaddr_storage *from)
{
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        datagram->family = 4;
        datagram->port = ntohs(v4->sin_port);
        datagram->scope = 0;
        memcpy(datagram->address, &v4->sin_addr, 4);
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        datagram->family = 6;
        datagram->port = ntohs(v6->sin6_port);
        datagram->scope = v6->sin6_scope_id;
        memcpy(datagram->address, &v6->sin6_addr, 16);
    }
}

/* RFC 7983 7, RFC 5761 4: by the first byte SRTP or SRTCP, by the second SRTCP. */
static int is_rtcp(const lp_datagram *datagram)
{
    return datagram->length >= 8 && datagram->data[0] >> 6 == 2 && datagram->data[1] >= 192 &&
           datagram->data[1] <= 223;
}

static int datagram_take(lp_intake *intake, int fd, const lp_datagram *datagram, int64_t now)
{
    lp_route route = {.fd = fd,
                      .family = datagram->family,
                      .port = datagram->port,
                      .scope = datagram->scope};
    memcpy(route.address, datagram->address, datagram->family == 4 ? 4 : 16);
    return intake_take(intake, &route, datagram->data, (uint32_t)datagram->length, now);
}

/* Receives what waits, up to LP_INTAKE datagrams. Returns how many of them, now the first in `out`,
 * are left to the caller, and in `taken` how many were reports; or -errno. */
int lp_intake_receive(lp_kernel *kernel, int fd, lp_datagram *out, int64_t now, int *taken)
{
    struct mmsghdr header[LP_INTAKE];
    struct iovec vector[LP_INTAKE];
    struct sockaddr_storage from[LP_INTAKE];
    lp_intake *intake = &kernel->intake;
    int left = 0;
    memset(header, 0, sizeof header);
    for (int i = 0; i < LP_INTAKE; i++) {
        vector[i] = (struct iovec){out[i].data, sizeof out[i].data};
        header[i].msg_hdr.msg_iov = &vector[i];
        header[i].msg_hdr.msg_iovlen = 1;
        header[i].msg_hdr.msg_name = &from[i];
        header[i].msg_hdr.msg_namelen = sizeof from[i];
    }
    *taken = 0;
    int count = recvmmsg(fd, header, LP_INTAKE, MSG_DONTWAIT, NULL);
    if (count < 0)
        return -errno;
    pthread_mutex_lock(&intake->lock);
    for (int i = 0; i < count; i++) {
        lp_datagram *datagram = &out[i];
        datagram->length = (int32_t)header[i].msg_len;
        datagram_source(datagram, &from[i]);
        if (is_rtcp(datagram) && datagram_take(intake, fd, datagram, now))
            ++*taken;
        else if (left++ < i)
            memcpy(&out[left - 1], datagram, offsetof(lp_datagram, data) + header[i].msg_len);
    }
    pthread_mutex_unlock(&intake->lock);
    return left;
}

/* ---- what Python asks for ------------------------------------------------------------------------ */

/* Opens and takes a packet, whatever is in it. Returns its length in `out`, or -LP_SHORT, -LP_LONG,
 * -LP_FORGED, -LP_REPLAYED, -LP_MANY_SSRCS. */
int lp_viewer_open(lp_viewer *viewer, const uint8_t *packet, uint32_t size, uint8_t *out)
{
    lp_intake *intake = &viewer->kernel->intake;
    uint32_t length, index;
    pthread_mutex_lock(&intake->lock);
    int failed = srtcp_open(intake, &viewer->opener, packet, size, out, &length, &index);
    if (!failed)
        replay_note(&viewer->opener, get32(packet + 4), index);
    pthread_mutex_unlock(&intake->lock);
    return failed ? -failed : (int)length;
}

/* When reports were last taken from the viewer's present path, by the clock that
 * `lp_intake_receive` was given; 0: never. */
int64_t lp_viewer_heard_ns(lp_viewer *viewer)
{
    lp_intake *intake = &viewer->kernel->intake;
    pthread_mutex_lock(&intake->lock);
    int64_t heard = viewer->heard_ns;
    pthread_mutex_unlock(&intake->lock);
    return heard;
}

/* What was reported on the track since the last call; all tracks begin anew. Returns the last REMB,
 * -1: none came. */
int64_t lp_viewer_reported(lp_viewer *viewer, int video, lp_reception *out)
{
    lp_intake *intake = &viewer->kernel->intake;
    memset(out, 0, sizeof *out);
    out->round_trip_ns = -1;
    pthread_mutex_lock(&intake->lock);
    for (int i = 0; i < viewer->tracks; i++) {
        if (!viewer->track[i].spec.video == !video)
            *out = viewer->heard[i];
        viewer->heard[i] = (lp_reception){.round_trip_ns = -1};
    }
    int64_t rate = viewer->remb;
    viewer->remb = -1;
    pthread_mutex_unlock(&intake->lock);
    return rate;
}
