/*
 * From frames to messages: RTP headers, protection, GSO runs, one batch across viewers.
 */

/* ---- headers ------------------------------------------------------------------------------------ */

static void rtp_header(uint8_t *out, uint8_t payload_type, int marker, uint16_t sequence,
                       uint32_t timestamp, uint32_t ssrc)
{
    out[0] = 0x80;
    out[1] = (uint8_t)(payload_type | (marker ? 0x80 : 0));
    put16(out + 2, sequence);
    put32(out + 4, timestamp);
    put32(out + 8, ssrc);
}

/* Unix nanoseconds as an NTP timestamp, 32.32 fixed point. */
static uint64_t ntp(int64_t unix_ns)
{
    int64_t seconds = unix_ns / LP_SECOND, rest = unix_ns % LP_SECOND;
    if (rest < 0) {
        seconds--;
        rest += LP_SECOND;
    }
    return ((uint64_t)(seconds + 2208988800ll) << 32) | (((uint64_t)rest << 32) / LP_SECOND);
}

/* abs-capture-time in RFC 8285's one-byte form, without the optional clock offset. */
#define LP_CAPTURE_SIZE 16
static void capture_extension(uint8_t *packet, uint8_t id, int64_t capture_ns)
{
    uint64_t value = ntp(capture_ns);
    packet[0] |= 0x10;
    put32(packet + 12, 0xbede0003);
    packet[16] = (uint8_t)(id << 4 | 7);
    put32(packet + 17, (uint32_t)(value >> 32));
    put32(packet + 21, (uint32_t)value);
    memset(packet + 25, 0, 3);
}

/* ---- the batch ---------------------------------------------------------------------------------- */

/* Adds the `bytes` that stand at the end of the buffer as a message, in GSO segments if not 0. */
static lp_message *batch_add(lp_batch *batch, lp_viewer *viewer, uint32_t bytes, uint32_t segment)
{
    uint32_t at = batch->count++;
    struct msghdr *header = &batch->header[at].msg_hdr;
    batch->vector[at].iov_base = batch->buffer + batch->bytes;
    batch->vector[at].iov_len = bytes;
    memset(header, 0, sizeof *header);
    header->msg_iov = &batch->vector[at];
    header->msg_iovlen = 1;
    if (!viewer->connected) {
        header->msg_name = &viewer->address;
        header->msg_namelen = viewer->address_size;
    }
    if (segment) {
        struct cmsghdr *control = &batch->control[at].align;
        uint16_t value = (uint16_t)segment;
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof value);
        memcpy(CMSG_DATA(control), &value, sizeof value);
        header->msg_control = control;
        header->msg_controllen = CMSG_SPACE(sizeof value);
    }
    batch->bytes += bytes;
    lp_message *message = &batch->message[at];
    memset(message, 0, sizeof *message);
    message->viewer = viewer;
    message->bytes = bytes;
    return message;
}

/* Room for one packet that is sent at once or not at all; NULL while the viewer's socket is full. */
static uint8_t *batch_room(lp_shard *shard, lp_viewer *viewer)
{
    lp_batch *batch = shard->batch;
    if (batch->socket != viewer->socket || batch->count >= LP_BATCH_TURNS ||
        batch->bytes >= LP_BATCH_BYTES)
        batch_flush(shard);
    if (viewer->socket->blocked)
        return NULL;
    batch->socket = viewer->socket;
    return batch->buffer + batch->bytes;
}

/* ---- a viewer's turn ------------------------------------------------------------------------------ */

static uint32_t track_extra(const lp_track *track, uint32_t packet)
{
    return packet == 0 && track->with_capture ? LP_CAPTURE_SIZE : 0;
}

static uint32_t track_size(const lp_track *track, uint32_t packet)
{
    return 12 + track_extra(track, packet) + frame_size(track->frame, packet) +
           tag_size(track->viewer);
}

static uint32_t track_packet(lp_track *track, uint32_t packet, uint8_t *out)
{
    const lp_frame *frame = track->frame;
    const lp_track_spec *spec = &track->spec;
    uint64_t index = track->frame_index + packet;
    int marker = spec->video && packet + 1 == frame->packets;
    rtp_header(out, spec->payload_type, marker, (uint16_t)index, track->frame_timestamp,
               spec->ssrc);
    uint32_t extra = track_extra(track, packet);
    if (extra)
        capture_extension(out, spec->capture_id, frame->capture_ns);
    return srtp_protect(track->viewer, out, 12 + extra, frame_payload(frame, packet),
                        frame_size(frame, packet), index);
}

static void count_error(lp_shard *shard, lp_viewer *viewer, int error)
{
    LP_ADD(viewer->stats.errors, 1);
    LP_SET(viewer->stats.last_errno, error);
    LP_ADD(shard->stats.errors[error > 0 && error < LP_ERRNOS ? error : 0], 1);
}

/* One message: packets of equal size, of which the last may be smaller; without GSO one packet.
 * Returns 0 when OpenSSL failed and nothing was added. */
static int track_message(lp_shard *shard, lp_track *track, uint32_t most)
{
    lp_batch *batch = shard->batch;
    uint32_t first = track->packet, count = 0, bytes = 0;
    uint32_t segment = track_size(track, first);
    while (count < most && track->packet < track->frame->packets) {
        uint32_t size = track_size(track, track->packet);
        if (size > segment)
            break;
        if (!track_packet(track, track->packet, batch->buffer + batch->bytes + bytes))
            break;
        track->packet++;
        count++;
        bytes += size;
        if (size < segment)
            break;
    }
    if (!count) {
        count_error(shard, track->viewer, ENOKEY);
        return 0;
    }
    lp_message *message = batch_add(batch, track->viewer, bytes, count > 1 ? segment : 0);
    message->track = track;
    message->first = first;
    message->count = count;
    message->size = segment;
    return 1;
}

static int track_turn(lp_shard *shard, lp_track *track)
{
    if (!track->begun) { /* the frame's indices are spoken for, whatever becomes of it */
        track->index = track->frame_index + track->frame->packets;
        track->begun = 1;
    }
    if (track->viewer->gso)
        return track_message(shard, track, LP_GSO_MAX);
    int good = 1;
    for (int i = 0; good && i < LP_GSO_MAX && track->packet < track->frame->packets; i++)
        good = track_message(shard, track, 1);
    return good;
}
