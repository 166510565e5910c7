"""Timestamps of runs joined into one continuous file; pure.

Invariant: within a track decode times rise strictly, presentation never goes back over a join, the
first picture or sound is at 0, and inside a run nothing is changed but a constant: picture and
sound keep their distance.

A run starts where the previous one left off on the tightest track; the wall-clock gap between them
is taken out. Decode times before 0 (reordered frames) become an edit list in the MP4.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction


class Splice:
    """Maps times of successive runs onto one output timeline, per track in its own ticks."""

    def __init__(self, timescales: Mapping[str, int]) -> None:
        self._timescales = dict(timescales)
        self._ends: dict[str, int] = {}
        """Presentation end of what was put out, in the track's ticks."""
        self._last_dts: dict[str, int] = {}
        self._shifts: dict[str, int] = {}

    def begin(self, first_pts: Mapping[str, int]) -> None:
        """A run starts, whose tracks begin at these presentation times (ticks)."""
        starts = {t: Fraction(pts, self._timescales[t]) for t, pts in first_pts.items()}
        ends = {t: Fraction(end, self._timescales[t]) for t, end in self._ends.items()}
        if not ends:
            shift = -min(starts.values())
        else:
            common = [ends[t] - start for t, start in starts.items() if t in ends]
            # No track in common: after everything that was put out.
            shift = max(common) if common else max(ends.values()) - min(starts.values())
        self._shifts = {t: round(shift * self._timescales[t]) for t in starts}

    def place(
        self, track: str, dts: Sequence[int], offsets: Sequence[int], durations: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """(decode times, presentation offsets) on the output timeline of units in their order;
        `offsets` are presentation time less decode time."""
        shift, last = self._shifts[track], self._last_dts.get(track)
        placed, moved = [], list(offsets)
        for number, found in enumerate(dts):
            at = found + shift
            if last is not None and at <= last:
                # Only where a run with a longer reorder delay follows one with a shorter.
                shown = max(at + offsets[number], last + 1)
                at = last + 1
                moved[number] = shown - at
            placed.append(at)
            last = at
        end = max(map(sum, zip(placed, moved, durations, strict=True)))
        self._last_dts[track] = placed[-1]
        self._ends[track] = max(self._ends.get(track, end), end)
        return placed, moved

    def end_of(self, track: str) -> int:
        """When the last picture or sound of the track that was put out is over, in its ticks."""
        return self._ends[track]

    @property
    def end(self) -> Fraction:
        """Seconds from 0 to the end of the last picture or sound."""
        ends = (Fraction(end, self._timescales[track]) for track, end in self._ends.items())
        return max(ends, default=Fraction(0))
