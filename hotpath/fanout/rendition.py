"""One video rendition of a programme, as viewers can be given it.

Upstream: `hotpath.fanout.feed` pushes. Downstream: viewers attach to its kernel stream.
"""

from collections import deque
from dataclasses import dataclass, field

from hotpath.fanout.kernel import Stream

WINDOW_S = 4
INITIAL_BPS = 2_500_000
"""Assumed until something was measured."""


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


@dataclass(slots=True)
class Rendition:
    """`stream` stays the same whatever feeds it: the source's units or an encoder's."""

    name: str
    stream: Stream
    rate: BitRate = field(default_factory=lambda: BitRate(90_000))

    @property
    def bps(self) -> int:
        return self.rate.bps or INITIAL_BPS
