"""One connected WHIP publisher: RTP in, formats and units to the sink, feedback back.

Invariant: a format reaches the sink before the units that need it. Feedback is what a receiver
owes: a report every second, NACKs while a packet can still come in time, a keyframe request after
damage and once a segment, and the bitrate that browsers may go up to.

Pure but for `send` and `sink`, which it calls; `now` is monotonic, `received_ns` Unix time.
Upstream: `hotpath.ingest.whip_session`. Downstream: the `PublisherSink`.
Spec: RFC 3550 6.4, RFC 4585 6, RFC 5104 4.3.1.
"""

from collections.abc import Callable, Sequence
from copy import copy

from hotpath.ingest.bitrate import BitrateEstimate
from hotpath.ingest.health import HealthMonitor
from hotpath.ingest.keyframes import KeyframeRequests
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.rtp_clock import TrackClock
from hotpath.ingest.session import SessionFacts
from hotpath.ingest.statistics import Publisher, RtpStatistics, WhipStatistics
from hotpath.ingest.whip_health import WhipObservation, whip_findings
from hotpath.ingest.whip_limits import OVER_RATE_S, WhipLimits
from hotpath.ingest.whip_track import WhipTrack
from hotpath.media.ts import TsCounters
from hotpath.media.unit import Format, Unit
from hotpath.webrtc import rtcp
from hotpath.webrtc.rtp import RtpError, parse_rtp
from hotpath.webrtc.sdp import PublisherMedia

_SECOND = 1_000_000_000
_EARLY_REPORTS = (100_000_000, 300_000_000, 600_000_000)
"""Browsers raise their bitrate at once only by what they are told in their first two seconds."""


class WhipPublisher:
    def __init__(
        self,
        publisher: Publisher,
        media: PublisherMedia,
        sink: PublisherSink,
        *,
        send: Callable[[bytes], None],
        ssrc: int,
        limits: WhipLimits,
        keyframe_interval_s: float,
        now: int,
    ) -> None:
        """`send`: one plain compound RTCP packet; `ssrc`: this end's."""
        self.publisher = publisher
        self.last_packet_ns = now
        self.stalled = False
        self._sink = sink
        self._send = send
        self._ssrc = ssrc
        self._limits = limits
        audio = TrackClock(48_000)
        video = TrackClock(90_000, audio)
        self._audio = WhipTrack(media.audio, audio, video=False) if media.audio else None
        self._video = WhipTrack(media.video, video, video=True) if media.video else None
        self._tracks = [t for t in (self._video, self._audio) if t is not None]
        self._by_payload_type = {pt: t for t in self._tracks for pt in t.payload_types}
        feedback = media.video.feedback if media.video else ()
        self._keyframes = KeyframeRequests(
            int(keyframe_interval_s * _SECOND), fir="ccm fir" in feedback
        )
        self._pli = "nack pli" in feedback
        self._fir_number = 0
        self._estimate = BitrateEstimate(limits.bitrate) if "goog-remb" in feedback else None
        self._reports_ns = [now + early for early in _EARLY_REPORTS]
        self._announced: tuple[Format, ...] = ()
        self._health = HealthMonitor(whip_findings)
        self._statistics = RtpStatistics()
        self._bytes = self._packets = self._unusable = self._requests = 0
        self._bytes_before = self._checked_ns = 0
        self._over_rate_s = 0

    # -- in ----------------------------------------------------------------------------------

    def receive_rtp(self, data: bytes, received_ns: int, now: int) -> None:
        self._packets += 1
        self._bytes += len(data)
        self.last_packet_ns = now
        self.stalled = False
        try:
            packet = parse_rtp(data)
        except RtpError:
            self._unusable += 1
            return
        track = self._by_payload_type.get(packet.payload_type)
        if track is None or not track.receive(packet, received_ns, now):
            self._unusable += 1
            return
        if track is self._video:
            self._keyframes.start(now)
        self.poll(now)

    def receive_rtcp(self, data: bytes, now: int) -> None:
        try:
            events = rtcp.parse_rtcp(data)
        except rtcp.RtcpError:
            self._unusable += 1
            return
        for event in events:
            if isinstance(event, rtcp.SenderReport):
                for track in self._tracks:
                    track.receive_report(event, now)

    def request_keyframe(self, now: int) -> None:
        """A viewer has no picture; asked for at most once a second, with every other reason."""
        self._keyframes.want(now)
        self.poll(now)

    # -- out ---------------------------------------------------------------------------------

    def next_deadline(self) -> int:
        due = [self._reports_ns[0]]
        due += [d for t in self._tracks if (d := t.next_deadline()) is not None]
        wanted = self._keyframes.next_deadline() if self._pli else None
        return min([*due, wanted] if wanted is not None else due)

    def poll(self, now: int) -> None:
        """Whatever is due: units, NACKs, keyframe requests, reports."""
        for track in self._tracks:
            self._hand_on(track.poll(now), now)
            missing = track.take_nacks(now)
            if missing and track.ssrc is not None:
                self._send_feedback(rtcp.build_nack(self._ssrc, track.ssrc, missing))
        self._ask_for_keyframe(now)
        if now >= self._reports_ns[0]:
            due = self._reports_ns.pop(0)
            if not self._reports_ns:
                self._reports_ns.append(max(due + _SECOND, now))
            self._report(now)

    def close(self) -> None:
        """The last units go out."""
        for track in self._tracks:
            self._hand_on(track.flush(self.last_packet_ns), self.last_packet_ns)

    def _hand_on(self, units: Sequence[Unit], now: int) -> None:
        if not units:
            return
        formats = tuple(t.format for t in self._tracks if t.format is not None)
        if formats != self._announced:
            self._announced = formats
            self._sink.publisher_formats(self.publisher.id, formats)
        self._sink.publisher_units(self.publisher.id, units)
        for unit in units:
            if unit.track == "video" and unit.keyframe:
                self._keyframes.receive_keyframe(now)
            if unit.damaged:
                self._keyframes.want(now)

    def _ask_for_keyframe(self, now: int) -> None:
        video = self._video
        if video is None or video.ssrc is None or not self._pli:
            return
        if video.take_damage():
            self._keyframes.want(now)
        for request in self._keyframes.poll(now):
            self._requests += 1
            if request == "pli":
                self._send_feedback(rtcp.build_pli(self._ssrc, video.ssrc))
            else:
                self._fir_number = (self._fir_number + 1) & 0xFF
                self._send_feedback(rtcp.build_fir(self._ssrc, video.ssrc, self._fir_number))

    def _send_feedback(self, packet: bytes) -> None:
        # RFC 5506 is not always negotiated, so every datagram is a whole compound packet.
        self._send(rtcp.build_receiver_report(self._ssrc, (), self._cname) + packet)

    def _report(self, now: int) -> None:
        reports = [r for t in self._tracks if (r := t.report(self._ssrc, now)) is not None]
        packet = rtcp.build_receiver_report(self._ssrc, reports, self._cname)
        ssrcs = [t.ssrc for t in self._tracks if t.ssrc is not None]
        if self._estimate is not None and ssrcs:
            packet += rtcp.build_remb(self._ssrc, self._estimate.bps, ssrcs)
        self._send(packet)

    @property
    def _cname(self) -> str:
        return f"livepath-{self._ssrc:08x}"

    # -- once a second -----------------------------------------------------------------------

    def check(self, now: int, round_trip_ns: int | None) -> str | None:
        """Statistics and health; a reason to end the publisher, or None."""
        before, self._statistics = self._statistics, self._measured(now, round_trip_ns)
        if round_trip_ns is not None:
            for track in self._tracks:
                track.set_round_trip(round_trip_ns)
        if self._estimate is not None and self._video is not None:
            expected, lost = self._video.loss_since_last()
            rate = int(self._statistics.rate_mbps * 1e6)
            self._estimate.receive(expected, lost, rate, self._video.take_queue_ms())
        for finding in self._health.observe(WhipObservation(now, self._statistics, self.facts())):
            self._warn(finding.code, finding.message)
        silent_s = (now - self.last_packet_ns) / _SECOND
        if not self.stalled and silent_s >= self._limits.stall_after_s:
            self.stalled = True
            limit_s = self._limits.stall_after_s
            self._warn(
                "stalled", f"The publisher is connected but has sent nothing for {limit_s:g} s."
            )
        over = self._statistics.rate_mbps * 1e6 > self._limits.max_bps
        self._over_rate_s = self._over_rate_s + 1 if over and before.packets else 0
        return "over-limit" if self._over_rate_s >= OVER_RATE_S else None

    def facts(self) -> SessionFacts:
        # Copies: rules compare them with those of a second ago.
        video = copy(self._video.facts) if self._video else None
        audio = copy(self._audio.facts) if self._audio else None
        return SessionFacts(TsCounters(), video, audio, self._announced)

    def statistics(self) -> WhipStatistics:
        facts = self.facts()
        return WhipStatistics(
            self.publisher,
            self._statistics,
            video_units=facts.video.units if facts.video else 0,
            audio_units=facts.audio.units if facts.audio else 0,
            damaged_units=facts.video.damaged if facts.video else 0,
            stalled=self.stalled,
            at_ns=self._checked_ns,
        )

    def _measured(self, now: int, round_trip_ns: int | None) -> RtpStatistics:
        seconds = (now - self._checked_ns) / _SECOND if self._checked_ns else 0.0
        rate = (self._bytes - self._bytes_before) * 8 / seconds if seconds > 0 else 0.0
        self._checked_ns, self._bytes_before = now, self._bytes
        return RtpStatistics(
            packets=self._packets,
            bytes=self._bytes,
            missing=sum(t.missing for t in self._tracks),
            retransmitted=sum(t.retransmitted for t in self._tracks),
            unusable=self._unusable,
            nacks=sum(t.nacks for t in self._tracks),
            keyframe_requests=self._requests,
            round_trip_ms=(round_trip_ns or 0) / 1e6,
            jitter_ms=max((t.jitter_ms for t in self._tracks), default=0.0),
            rate_mbps=rate / 1e6,
            allowed_mbps=self._estimate.bps / 1e6 if self._estimate else 0.0,
        )

    def _warn(self, code: str, message: str) -> None:
        self._sink.publisher_warning(self.publisher.id, code, message)
