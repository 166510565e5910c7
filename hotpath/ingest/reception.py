"""What arrived of one RTP source, as receiver reports tell it.

Invariant: `expected` counts from the first packet to the highest sequence number, so `lost` is what
never came by now; a packet that comes late, or again, is counted as received.

Pure. Upstream: `hotpath.ingest.whip_track`. Downstream: receiver reports.
Spec: RFC 3550 6.4.1, A.1, A.3 and A.8.
"""

from collections import deque

from hotpath.webrtc.rtcp import ReceptionReport, SenderReport
from hotpath.webrtc.rtp import Unwrapper

_SECOND = 1_000_000_000
_BASELINE = 20
"""Measurements over which the quickest packet is looked for: a route may change."""


class Reception:
    """One source; retransmissions count as packets of the source they repair."""

    def __init__(self, ssrc: int, clock_hz: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self._clock_hz = clock_hz
        self._sequences = Unwrapper(16)
        self._timestamps = Unwrapper(32)
        self._first: int | None = None
        self._highest = 0
        self._transit: int | None = None
        self._jitter = 0  # times 16, RFC 3550 A.8
        self._expected_before = 0
        self._received_before = 0
        self._quickest: int | None = None
        self._baselines: deque[int] = deque(maxlen=_BASELINE)
        self._report_ntp = 0
        self._report_ns = 0

    @property
    def expected(self) -> int:
        return 0 if self._first is None else self._highest - self._first + 1

    @property
    def lost(self) -> int:
        return self.expected - self.received

    @property
    def jitter_ms(self) -> float:
        return (self._jitter >> 4) * 1000 / self._clock_hz

    def receive(self, sequence: int, timestamp: int, now: int) -> None:
        """A packet, as the source sent it first."""
        number = self._count(sequence)
        if number < self._highest:
            return  # out of order: its transit time would say nothing about jitter
        arrival = now * self._clock_hz // _SECOND
        transit = arrival - self._timestamps.unwrap(timestamp)
        if self._transit is not None:
            self._jitter += abs(transit - self._transit) - ((self._jitter + 8) >> 4)
        self._transit = transit
        if self._quickest is None or transit < self._quickest:
            self._quickest = transit

    def take_queue_ms(self) -> float:
        """By how much the quickest packet since the last call was slower than one can be.

        A large frame delays its own packets; only a queue on the way delays all of them.
        """
        if self._quickest is None:
            return 0.0
        self._baselines.append(self._quickest)
        queue = self._quickest - min(self._baselines)
        self._quickest = None
        return queue * 1000 / self._clock_hz

    def receive_repaired(self, sequence: int) -> None:
        """A packet that was sent again."""
        self._count(sequence)

    def receive_report(self, report: SenderReport, now: int) -> None:
        self._report_ntp = report.ntp >> 16 & 0xFFFFFFFF
        self._report_ns = now

    def report(self, reporter: int, now: int) -> ReceptionReport:
        """The block of a receiver report; `fraction_lost` is since the last one."""
        expected = self.expected - self._expected_before
        lost = expected - (self.received - self._received_before)
        self._expected_before, self._received_before = self.expected, self.received
        since = (now - self._report_ns) * 65_536 // _SECOND if self._report_ntp else 0
        return ReceptionReport(
            reporter=reporter,
            ssrc=self.ssrc,
            fraction_lost=min(255, (lost << 8) // expected) if lost > 0 and expected > 0 else 0,
            lost=self.lost,
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=self._jitter >> 4,
            last_sr=self._report_ntp,
            delay_since_sr=min(since, 0xFFFFFFFF),
        )

    def _count(self, sequence: int) -> int:
        number = self._sequences.unwrap(sequence)
        if self._first is None:
            self._first = self._highest = number
        self.received += 1
        self._highest = max(self._highest, number)
        return number
