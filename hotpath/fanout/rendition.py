"""One video rendition of a programme, as viewers can be given it.

Invariant: a frame is packetized once, whatever the number of viewers.

Upstream: `hotpath.fanout.feed` pushes. Downstream: viewers attach to its kernel stream.
"""

from collections import deque
from dataclasses import dataclass, field

from hotpath.fanout.kernel import Frame, Stream
from hotpath.fanout.packetize import H264Packetizer
from hotpath.media.unit import Format, Unit
from infra.renditions import RUNGS

VIDEO_HZ = 90_000
WINDOW_S = 4
INITIAL_BPS = 2_500_000
"""Assumed of the source until something was measured."""


class BitRate:
    """Bits per second of media time over the last seconds; no clock needed. Pure."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._frames: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def receive(self, timestamp: int, size: int) -> None:
        if self._frames and timestamp < self._frames[-1][0]:
            self._frames.clear()
            self._bytes = 0
        self._frames.append((timestamp, size))
        self._bytes += size
        while timestamp - self._frames[0][0] > WINDOW_S * self._clock_hz:
            self._bytes -= self._frames.popleft()[1]

    @property
    def bps(self) -> int:
        """0 until a second of media was seen."""
        if not self._frames:
            return 0
        span = self._frames[-1][0] - self._frames[0][0]
        if span < self._clock_hz:
            return 0
        # The newest frame begins where the span ends.
        return (self._bytes - self._frames[-1][1]) * 8 * self._clock_hz // span


@dataclass(slots=True, eq=False)
class Rendition:
    """`stream` stays the same whatever feeds it: the source's units or an encoder's."""

    name: str
    stream: Stream
    assumed_bps: int = INITIAL_BPS
    format: Format | None = None
    """Of the newest frame."""
    rate: BitRate = field(default_factory=lambda: BitRate(VIDEO_HZ))
    _packetizer: H264Packetizer | None = None

    @property
    def bps(self) -> int:
        return self.rate.bps or self.assumed_bps

    @property
    def height(self) -> int:
        """0 until it is known."""
        if self.name in RUNGS:
            return RUNGS[self.name].height
        return self.format.height if self.format else 0

    def push(self, format: Format, unit: Unit, wall_ns: int) -> bool:
        """To every viewer that has it; False: there is nothing in it to be sent."""
        if self._packetizer is None or self.format != format:
            self.format, self._packetizer = format, H264Packetizer(format)
        payloads = self._packetizer.payloads(unit)
        if not payloads:
            return False
        timestamp = unit.pts * VIDEO_HZ // format.timescale
        self.stream.push(Frame(timestamp, unit.keyframe, payloads, wall_ns, unit.capture_ns))
        self.rate.receive(timestamp, len(unit.data))
        return True
