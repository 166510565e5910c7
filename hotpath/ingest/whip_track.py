"""One m-line of a WHIP publisher: its packets in order, as units, and what a receiver owes it.

Invariant: one SSRC at a time. Another is taken for the source only when the present one has been
silent for a second (a publisher that ignores that its simulcast was declined sends several); it
then starts anew, its first video unit a keyframe.

Pure. Upstream: `hotpath.ingest.whip_publisher`. Downstream: `jitter`, `depacketize`, `reception`.
"""

from collections.abc import Sequence

from hotpath.ingest.depacketize import OpusDepacketizer, VideoDepacketizer
from hotpath.ingest.jitter import JitterBuffer, Lost
from hotpath.ingest.reception import Reception
from hotpath.ingest.rtp_clock import TrackClock
from hotpath.media.access_units import TrackFacts
from hotpath.media.unit import Format, Unit
from hotpath.webrtc.rtcp import ReceptionReport, SenderReport
from hotpath.webrtc.rtp import RtpPacket
from hotpath.webrtc.sdp import TrackChoice

_SILENT_NS = 1_000_000_000


class _Source:
    """What is kept of one SSRC."""

    def __init__(self, ssrc: int, choice: TrackChoice, clock: TrackClock, video: bool) -> None:
        self.ssrc = ssrc
        self.reception = Reception(ssrc, choice.codec.clock_hz)
        self.jitter = JitterBuffer(nack="nack" in choice.codec.feedback)
        self.latest_ns = 0
        id = choice.capture_time_id
        self.units: VideoDepacketizer | OpusDepacketizer = (
            VideoDepacketizer(clock, capture_time_id=id)
            if video
            else OpusDepacketizer(clock, channels=choice.codec.channels, capture_time_id=id)
        )


class WhipTrack:
    def __init__(self, choice: TrackChoice, clock: TrackClock, *, video: bool) -> None:
        self.payload_types = [choice.payload_type]
        if choice.rtx_payload_type is not None:
            self.payload_types.append(choice.rtx_payload_type)
        self._choice = choice
        self._clock = clock
        self._video = video
        self._source: _Source | None = None
        self._left_behind: list[Unit] = []
        self._damaged = False
        self._expected_before = self._lost_before = 0
        self._wall_less_now = 0
        self._gone_missing = self._gone_repaired = self._gone_nacks = 0

    @property
    def ssrc(self) -> int | None:
        return self._source.ssrc if self._source else None

    @property
    def format(self) -> Format | None:
        return self._source.units.format if self._source else None

    @property
    def facts(self) -> TrackFacts:
        return self._source.units.facts if self._source else TrackFacts()

    @property
    def missing(self) -> int:
        return self._gone_missing + (self._source.jitter.counts.lost if self._source else 0)

    @property
    def retransmitted(self) -> int:
        return self._gone_repaired + (self._source.jitter.counts.repaired if self._source else 0)

    @property
    def nacks(self) -> int:
        return self._gone_nacks + (self._source.jitter.counts.asked if self._source else 0)

    @property
    def jitter_ms(self) -> float:
        return self._source.reception.jitter_ms if self._source else 0.0

    # -- in ----------------------------------------------------------------------------------

    def receive(self, packet: RtpPacket, received_ns: int, now: int) -> bool:
        """Whether the packet was of use."""
        self._wall_less_now = received_ns - now
        if packet.payload_type != self._choice.payload_type:
            return self._receive_again(packet, received_ns, now)
        source = self._source
        if source is None or source.ssrc != packet.ssrc:
            if source is not None and now - source.latest_ns < _SILENT_NS:
                return False
            source = self._begin(packet.ssrc)
        source.latest_ns = now
        source.reception.receive(packet.sequence, packet.timestamp, now)
        source.jitter.receive(packet, received_ns, now)
        return True

    def receive_report(self, report: SenderReport, now: int) -> None:
        source = self._source
        if source is not None and report.ssrc == source.ssrc:
            source.reception.receive_report(report, now)
            self._clock.receive_report(report)

    def set_round_trip(self, trip_ns: int) -> None:
        if self._source is not None:
            self._source.jitter.set_round_trip(trip_ns)

    # -- out ---------------------------------------------------------------------------------

    def next_deadline(self) -> int | None:
        return self._source.jitter.next_deadline() if self._source else None

    def poll(self, now: int) -> list[Unit]:
        """The units that are now whole."""
        units, self._left_behind = self._left_behind, []
        source = self._source
        if source is None:
            return units
        for ordered in source.jitter.poll(now):
            if isinstance(ordered, Lost):
                source.units.lost()
                self._damaged = True
            else:
                units += source.units.receive(ordered, now + self._wall_less_now)
        return units

    def take_nacks(self, now: int) -> Sequence[int]:
        """Sequence numbers to ask for now."""
        return self._source.jitter.nacks(now) if self._source else ()

    def take_damage(self) -> bool:
        """Whether packets were given up since the last call."""
        damaged, self._damaged = self._damaged, False
        return damaged

    def flush(self, now: int) -> list[Unit]:
        """What was held back."""
        units = self.poll(now)
        if self._source is not None:
            units += self._source.units.flush(now + self._wall_less_now)
        return units

    def report(self, reporter: int, now: int) -> ReceptionReport | None:
        return self._source.reception.report(reporter, now) if self._source else None

    def loss_since_last(self) -> tuple[int, int]:
        """(packets expected, packets of them that did not come at first) since the last call."""
        if self._source is None:
            return 0, 0
        expected = self._source.reception.expected
        lost = self._source.reception.lost + self._source.jitter.counts.repaired
        since = expected - self._expected_before, lost - self._lost_before
        self._expected_before, self._lost_before = expected, lost
        return since

    def take_queue_ms(self) -> float:
        """How long packets wait on the way, at the least, since the last call."""
        return self._source.reception.take_queue_ms() if self._source else 0.0

    # -- inside ------------------------------------------------------------------------------

    def _receive_again(self, packet: RtpPacket, received_ns: int, now: int) -> bool:
        """RFC 4588: on an SSRC of its own, so it belongs to whatever the present source is."""
        source = self._source
        if source is None:
            return False
        repaired = source.jitter.counts.repaired
        source.jitter.receive_rtx(packet, received_ns, now)
        if source.jitter.counts.repaired > repaired:
            source.reception.receive_repaired(int.from_bytes(packet.payload[:2], "big"))
        return True

    def _begin(self, ssrc: int) -> _Source:
        old = self._source
        if old is not None:
            self._left_behind += self.flush(old.latest_ns)
            self._gone_missing += old.jitter.counts.lost
            self._gone_repaired += old.jitter.counts.repaired
            self._gone_nacks += old.jitter.counts.asked
            self._clock.restart()
            self._expected_before = self._lost_before = 0
        self._source = _Source(ssrc, self._choice, self._clock, self._video)
        return self._source
