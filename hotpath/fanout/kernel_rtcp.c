/*
 * What a viewer gets besides media: sender reports, BYE, Python's RTCP, and RTX for its NACKs.
 */

/* ---- RTCP --------------------------------------------------------------------------------------- */

/* Protects and queues a compound packet. Returns 0 when the socket is full. */
static int rtcp_send(lp_shard *shard, lp_viewer *viewer, const uint8_t *plain, uint32_t size)
{
    uint8_t *out = batch_room(shard, viewer);
    uint32_t bytes = out ? srtcp_protect(shard, viewer, out, plain, size) : 0;
    if (!bytes)
        return 0;
    batch_add(shard->batch, viewer, bytes, 0);
    return 1;
}

/* RFC 3550 6.5: one chunk with a CNAME, ended by at least one zero and padded to a word. */
static uint32_t write_sdes(uint8_t *out, uint32_t ssrc, const char *cname)
{
    uint32_t length = (uint32_t)strlen(cname);
    uint32_t chunk = (4 + 2 + length + 1 + 3) & ~3u;
    memset(out, 0, 4 + chunk);
    out[0] = 0x81;
    out[1] = 202;
    put16(out + 2, chunk / 4);
    put32(out + 4, ssrc);
    out[8] = 1;
    out[9] = (uint8_t)length;
    memcpy(out + 10, cname, length);
    return 4 + chunk;
}

/* RFC 3550 6.4.1: the programme's wall clock beside the RTP clock, both of this moment. */
static uint32_t write_sr(uint8_t *out, lp_track *track, const lp_frame *newest, int64_t now)
{
    int64_t age = now - newest->pushed_ns;
    age = age < 0 ? 0 : age > LP_SECOND ? LP_SECOND : age;
    int64_t at = newest->timestamp + age / 1000 * track->spec.clock_hz / 1000000;
    uint64_t time = ntp(newest->wall_ns + age);
    out[0] = 0x80;
    out[1] = 200;
    put16(out + 2, 6);
    put32(out + 4, track->spec.ssrc);
    put32(out + 8, (uint32_t)(time >> 32));
    put32(out + 12, (uint32_t)time);
    put32(out + 16, (uint32_t)at + track->spec.timestamp_offset);
    put32(out + 20, track->sent_packets);
    put32(out + 24, track->sent_octets);
    uint64_t sent = (time >> 16 & 0xffffffff) << 32 | (uint32_t)(now / 1000);
    LP_SET(track->sr_sent[1], LP_LOAD(track->sr_sent[0]));
    LP_SET(track->sr_sent[0], sent);
    return 28;
}

static void track_report(lp_shard *shard, lp_track *track, int64_t now)
{
    uint8_t plain[28 + 4 + 4 + 2 + LP_CNAME_MAX + 4];
    lp_viewer *viewer = track->viewer;
    const lp_frame *newest = track->subscription ? track->subscription->newest : NULL;
    if (!newest)
        return;
    uint32_t size = write_sr(plain, track, newest, now);
    size += write_sdes(plain + size, track->spec.ssrc, viewer->cname);
    track->sr_ns = now + LP_SECOND;
    if (rtcp_send(shard, viewer, plain, size)) {
        LP_ADD(viewer->stats.sr, 1);
        LP_ADD(shard->stats.sr, 1);
    }
}

/* Every 50 ms: who is due for a report. The first one follows the first packet. */
static void shard_report(lp_shard *shard, int64_t now)
{
    if (now < shard->sr_scan_ns)
        return;
    shard->sr_scan_ns = now + 50 * LP_MS;
    for (lp_list *at = shard->viewers.next; at != &shard->viewers; at = at->next) {
        lp_viewer *viewer = LP_OF(lp_viewer, link, at);
        for (int i = 0; i < viewer->tracks; i++)
            if (viewer->track[i].sr_ns && viewer->track[i].sr_ns <= now)
                track_report(shard, &viewer->track[i], now);
    }
}

/* An empty receiver report opens the compound (RFC 3550 6.1); BYE names every SSRC. */
static void viewer_bye(lp_shard *shard, lp_viewer *viewer)
{
    uint8_t plain[8 + 4 + 4 + 2 + LP_CNAME_MAX + 4 + 20] = {0x80, 201, 0, 1};
    if (!viewer->tracks)
        return;
    uint32_t ssrc = viewer->track[0].spec.ssrc, sources = 0;
    put32(plain + 4, ssrc);
    uint32_t size = 8 + write_sdes(plain + 8, ssrc, viewer->cname);
    uint8_t *bye = plain + size;
    for (int i = 0; i < viewer->tracks; i++) {
        const lp_track_spec *spec = &viewer->track[i].spec;
        put32(bye + 4 + 4 * sources++, spec->ssrc);
        if (spec->rtx_payload_type)
            put32(bye + 4 + 4 * sources++, spec->rtx_ssrc);
    }
    bye[0] = (uint8_t)(0x80 | sources);
    bye[1] = 203;
    put16(bye + 2, sources);
    rtcp_send(shard, viewer, plain, size + 4 + 4 * sources);
}

/* ---- RTX ---------------------------------------------------------------------------------------- */

/* Lets `bytes` through if the viewer's bucket holds them. */
static int rtx_affordable(lp_viewer *viewer, const lp_stream *stream, uint32_t bytes, int64_t now)
{
    int64_t rate = viewer->rtx_rate;
    if (!rate) {
        rate = (int64_t)LP_LOAD(stream->bytes_per_second) / 2;
        rate = rate < 125000 ? 125000 : rate;
    }
    int64_t elapsed = now - viewer->rtx_ns;
    elapsed = elapsed < 10 * LP_SECOND ? elapsed : 10 * LP_SECOND;
    int64_t earned = elapsed / 1000 * rate / 1000000;
    if (earned) { /* else time goes on adding up */
        viewer->rtx_tokens += earned;
        viewer->rtx_ns = now;
    }
    if (viewer->rtx_tokens > (int64_t)viewer->rtx_burst)
        viewer->rtx_tokens = viewer->rtx_burst;
    if (viewer->rtx_tokens < (int64_t)bytes)
        return 0;
    viewer->rtx_tokens -= bytes;
    return 1;
}

/* RFC 4588 4: the original payload behind its sequence number, in a stream of its own. */
static int rtx_send(lp_shard *shard, lp_track *track, const lp_segment *segment,
                    const lp_frame *frame, uint64_t index)
{
    uint8_t plain[2 + LP_PAYLOAD_MAX];
    lp_viewer *viewer = track->viewer;
    uint8_t *out = batch_room(shard, viewer);
    if (!out)
        return 0;
    uint32_t packet = (uint32_t)(segment->packet + (index - segment->first) - frame->first_packet);
    uint32_t size = frame_size(frame, packet);
    uint32_t timestamp = (uint32_t)squeeze(&segment->squeeze, frame->timestamp);
    put16(plain, (uint16_t)index);
    memcpy(plain + 2, frame_payload(frame, packet), size);
    rtp_header(out, track->spec.rtx_payload_type, track->spec.video && packet + 1 == frame->packets,
               (uint16_t)track->rtx_index, timestamp + track->spec.timestamp_offset,
               track->spec.rtx_ssrc);
    uint32_t bytes = srtp_protect(viewer, out, 12, plain, size + 2, track->rtx_index++);
    if (!bytes)
        return 0;
    batch_add(shard->batch, viewer, bytes, 0)->rtx = 1;
    return 1;
}

/* Returns 0 when the packet was refused: unknown, evicted, over the limit, or the socket is full. */
static int nack_one(lp_shard *shard, lp_track *track, uint16_t sequence, int64_t now)
{
    uint64_t index = 0;
    if (history_repeats(track->history, sequence, now))
        return 1;
    const lp_segment *segment = history_find(track, sequence, &index);
    if (!segment)
        return 0;
    lp_frame *frame =
        ring_find_packet(segment->stream, segment->packet + (index - segment->first));
    if (!frame)
        return 0;
    uint32_t bytes = 14 + tag_size(track->viewer) +
                     frame_size(frame, (uint32_t)(segment->packet + (index - segment->first) -
                                                  frame->first_packet));
    int sent = rtx_affordable(track->viewer, segment->stream, bytes, now) &&
               rtx_send(shard, track, segment, frame, index);
    frame_unref(frame);
    return sent;
}

static void viewer_nack(lp_shard *shard, lp_viewer *viewer, const lp_command *command, int64_t now)
{
    const uint16_t *sequences = (const uint16_t *)command->data;
    uint32_t refused = (uint32_t)command->option; /* beyond what a command holds */
    lp_track *track = NULL;
    for (int i = 0; i < viewer->tracks; i++)
        if (viewer->track[i].spec.ssrc == command->ssrc && viewer->track[i].history)
            track = &viewer->track[i];
    for (uint32_t i = 0; i < command->length; i++)
        if (!track || !nack_one(shard, track, sequences[i], now))
            refused++;
    LP_ADD(viewer->stats.rtx_refused, refused);
    LP_ADD(shard->stats.rtx_refused, refused);
}
