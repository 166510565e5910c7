/* The hot loop of the load clients: receive for many viewers, count RTP from its clear header, drop
 * it undecrypted, and hand everything else (STUN, DTLS, RTCP, probes' media) to Python.
 *
 * Plain sockets without UDP_GRO, so that a server is charged for what real receivers cost it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 32
#define STREAMS 6
#define SIZE 2048

typedef struct {
    uint32_t ssrc, first, highest, timestamp; /* sequence numbers are extended */
    int payload_type;
    int64_t packets, bytes;
} lp_stream;

typedef struct {
    int fd, keep_media, streams;
    int64_t first_ns, refused;
    lp_stream stream[STREAMS];
} lp_viewer;

typedef struct {
    int viewer, length, port;
    uint32_t host;
    int64_t at_ns;
    uint8_t data[SIZE];
} lp_datagram;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t kernel_ns(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            return t.tv_sec * 1000000000LL + t.tv_nsec;
        }
    return now_ns();
}

static void count(lp_viewer *viewer, const uint8_t *data, int length)
{
    uint32_t ssrc = (uint32_t)data[8] << 24 | data[9] << 16 | data[10] << 8 | data[11];
    uint16_t sequence = (uint16_t)(data[2] << 8 | data[3]);
    lp_stream *stream = viewer->stream;
    int index = 0;
    while (index < viewer->streams && stream[index].ssrc != ssrc)
        index++;
    if (index == STREAMS) {
        viewer->refused++;
        return;
    }
    stream += index;
    if (index == viewer->streams) {
        viewer->streams++;
        if (!viewer->first_ns)
            viewer->first_ns = now_ns();
        stream->ssrc = ssrc;
        stream->payload_type = data[1] & 127;
        /* One cycle up, so that a first packet that is overtaken cannot fall below zero. */
        stream->first = stream->highest = 65536u + sequence;
    }
    int16_t ahead = (int16_t)(sequence - (uint16_t)stream->highest);
    if (ahead > 0) {
        stream->highest += ahead;
        stream->timestamp = (uint32_t)data[4] << 24 | data[5] << 16 | data[6] << 8 | data[7];
    }
    stream->packets++;
    stream->bytes += length;
}

/* Datagrams for Python in `out`, at most `room`, which is at least BATCH. `viewer_of`: by descriptor. */
int lp_receive(int epoll, const int *viewer_of, lp_viewer *viewers, lp_datagram *out, int room,
               int timeout_ms)
{
    static uint8_t data[BATCH][SIZE];
    static char control[BATCH][64];
    static struct sockaddr_in from[BATCH];
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    struct epoll_event events[64];
    int kept = 0, ready = epoll_wait(epoll, events, 64, timeout_ms);
    for (int e = 0; e < ready && kept + BATCH <= room; e++) {
        int index = viewer_of[events[e].data.fd];
        lp_viewer *viewer = &viewers[index];
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){data[i], SIZE};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i],
                .msg_iov = &parts[i], .msg_iovlen = 1,
                .msg_control = viewer->keep_media ? control[i] : NULL,
                .msg_controllen = viewer->keep_media ? sizeof control[i] : 0};
        }
        int got = recvmmsg(viewer->fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
            int length = (int)messages[i].msg_len;
            int media = length >= 12 && data[i][0] >> 6 == 2 && (data[i][1] < 192 || data[i][1] > 223);
            if (media)
                count(viewer, data[i], length);
            if (media && !viewer->keep_media)
                continue;
            lp_datagram *one = &out[kept++];
            one->viewer = index;
            one->length = length;
            one->host = ntohl(from[i].sin_addr.s_addr);
            one->port = ntohs(from[i].sin_port);
            one->at_ns = kernel_ns(&messages[i].msg_hdr);
            memcpy(one->data, data[i], (size_t)length);
        }
    }
    return kept;
}
