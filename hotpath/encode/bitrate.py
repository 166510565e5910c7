"""How many bits a normalised picture gets: about what its source takes, never above the cap.

Pure. Invariant: the answer lies between `FLOOR` and the cap. Upstream: `hotpath.encode.picture`.
"""

from collections import deque

from hotpath.media.unit import Codec

FLOOR = 300_000
WINDOW_S = 4
# Without B-frames and lookahead the same picture takes more bits.
_FACTOR = {Codec.H264: 1.25, Codec.HEVC: 1.6}
_BITS_PER_PIXEL = 0.08
_WORTH = 0.15
"""A smaller change is not worth one."""


class Bitrate:
    """Measures the source over its own clock."""

    def __init__(self, codec: Codec, clock_hz: int, cap: int) -> None:
        self._factor = _FACTOR[codec]
        self._clock = clock_hz
        self._cap = cap
        self._sizes: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def receive(self, dts: int, size: int) -> None:
        if self._sizes and not 0 <= dts - self._sizes[-1][0] <= self._clock:
            self._sizes.clear()
            self._bytes = 0
        self._sizes.append((dts, size))
        self._bytes += size
        while dts - self._sizes[0][0] > WINDOW_S * self._clock:
            self._bytes -= self._sizes.popleft()[1]

    def first(self, width: int, height: int, fps: float) -> int:
        """Before anything is known of the source but its picture."""
        return self._within(round(width * height * fps * _BITS_PER_PIXEL))

    def wanted(self, current: int) -> int:
        """What the encoder should take from here on; `current` while a second is not yet known."""
        span = self._sizes[-1][0] - self._sizes[0][0] if self._sizes else 0
        if span < self._clock:
            return current
        target = self._within(round(self._bytes * 8 * self._clock / span * self._factor))
        return target if abs(target - current) > _WORTH * current else current

    def _within(self, bits: int) -> int:
        return min(max(bits, FLOOR), self._cap)
