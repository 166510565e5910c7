"""What a track's timing so far lets us expect: the next frame's duration, the next keyframe.

Invariant: an expectation is a positive number of ticks, taken from what was measured when enough
was, else from what the format declares. Pure: fed by `hotpath.program.marks`.
"""

from collections import deque

from hotpath.media.unit import VIDEO, Format

_MEASURED = 8
_ENOUGH = 3
_DEFAULT_VIDEO_FPS = 30
_DEFAULT_AUDIO_FRAME = 1024


class FrameCadence:
    """Expects the duration of the next frame: the median of the latest ones, or that of the latest
    where it is not half as long: what is expected for too long makes frames late that follow."""

    def __init__(self, format: Format) -> None:
        self._timescale = format.timescale
        self._deltas: deque[int] = deque(maxlen=_MEASURED)
        self._nominal = format.frame_duration or (
            format.timescale // _DEFAULT_VIDEO_FPS
            if format.track == VIDEO
            else _DEFAULT_AUDIO_FRAME
        )
        self.declared = format.frame_duration
        """Ticks; 0: the format says nothing."""
        self._last: int | None = None
        self.duration = self._nominal

    def receive(self, dts: int) -> None:
        """A frame with this decode time arrived."""
        delta = dts - self._last if self._last is not None else 0
        self._last = dts
        if 0 < delta <= self._timescale:
            self._deltas.append(delta)
            self.duration = self._expect()

    def _expect(self) -> int:
        count = len(self._deltas)
        if count < _ENOUGH:
            return self._nominal if self.declared else self._deltas[-1]
        median, latest = sorted(self._deltas)[count // 2], self._deltas[-1]
        return latest if 2 * latest <= median else median

    def restart(self) -> None:
        """Time jumped: the distance to the next frame says nothing."""
        self._last = None


class KeyframeCadence:
    """Expects the next keyframe as far away as the longest of the latest GOPs was."""

    def __init__(self) -> None:
        self._gops: deque[int] = deque(maxlen=4)
        self.latest: int | None = None
        """Decode time of the newest keyframe."""

    def receive(self, dts: int) -> None:
        """A keyframe with this decode time arrived."""
        if self.latest is not None and dts > self.latest:
            self._gops.append(dts - self.latest)
        self.latest = dts

    @property
    def gop(self) -> int | None:
        """Ticks; None before a whole GOP was seen."""
        return max(self._gops, default=None)

    def expected(self, after: int) -> int | None:
        """Decode time of the next keyframe; `after` itself when it is overdue; None: unknown."""
        if self.latest is None or not self._gops:
            return None
        return max(self.latest + max(self._gops), after)

    def restart(self) -> None:
        """A new publisher or clock: earlier GOPs say nothing."""
        self._gops.clear()
        self.latest = None
