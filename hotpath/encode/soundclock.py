"""How the sound's samples are counted against its timestamps.

Pure. Invariant: samples are counted from the first timestamp on, so rounding never adds up; a hole
is filled with exactly the samples that are missing, and a jump starts the count anew. Sound thereby
stays with the picture, whatever is lost.

Upstream: `hotpath.encode.sound`, with the frames that its decoder gives.
"""

from collections import deque
from dataclasses import dataclass, field

from hotpath.media.clock import rescale

RESYNC_FRAMES = 1.5
HOLE_FRAMES = 0.75
"""From here on something is missing; less is rounding, or a publisher's jitter."""
FILL_S = 1
"""A longer hole is a jump."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The count begins anew with this frame."""


@dataclass(frozen=True, slots=True)
class Fill:
    """So many samples are missing before this frame."""

    samples: int


@dataclass(slots=True)
class SoundClock:
    """Counts one stretch of sound at one sample rate."""

    clock_in: int
    rate: int
    base: int
    """Timestamp of the first sample."""
    count: int = 0
    """Samples so far, silence that filled holes included."""
    _frames: deque[tuple[int, int, int | None]] = field(default_factory=deque)
    """(first sample, ingest_ns, capture_ns) of frames that may still be asked for."""

    def expects(self, pts: int, samples: int) -> Restart | Fill | None:
        """What has to happen before a frame of `samples` that begins at `pts`."""
        expected = self.base + rescale(self.count, self.clock_in, self.rate)
        off = rescale(pts - expected, self.rate, self.clock_in)
        if HOLE_FRAMES * samples <= off <= FILL_S * self.rate:
            return Fill(off)
        return Restart() if abs(off) > RESYNC_FRAMES * samples else None

    def fill(self, samples: int) -> None:
        self.count += samples

    def receive(self, samples: int, ingest_ns: int, capture_ns: int | None) -> None:
        """A frame begins where the last one ended."""
        self._frames.append((self.count, ingest_ns, capture_ns))
        self.count += samples

    def origin(self, sample: int) -> tuple[int, int | None]:
        """(ingest_ns, capture_ns) of the frame that holds `sample`; callers only go forward."""
        while len(self._frames) > 1 and self._frames[1][0] <= sample:
            self._frames.popleft()
        _, ingest_ns, capture_ns = self._frames[0]
        return ingest_ns, capture_ns
