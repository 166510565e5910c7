"""Timestamps of runs joined into one continuous file; pure.

Invariant: within a track decode times rise strictly, presentation never goes back over a join, the
first picture or sound is at 0, and inside a run nothing is changed but a constant: picture and
sound keep their distance.

A run starts where the previous one left off on the tightest track; the wall-clock gap between them
is taken out. Decode times before 0 (reordered frames) become an edit list in the MP4.
"""

from collections.abc import Mapping
from fractions import Fraction


class Splice:
    """Maps times of successive runs onto one output timeline, per track in its own ticks."""

    def __init__(self, timescales: Mapping[str, int]) -> None:
        self._timescales = dict(timescales)
        self._ends: dict[str, Fraction] = {}
        """Presentation end of what was put out, seconds."""
        self._last_dts: dict[str, int] = {}
        self._shifts: dict[str, int] = {}

    def begin(self, first_pts: Mapping[str, int]) -> None:
        """A run starts, whose tracks begin at these presentation times (ticks)."""
        starts = {t: Fraction(pts, self._timescales[t]) for t, pts in first_pts.items()}
        if not self._ends:
            shift = -min(starts.values())
        else:
            common = [self._ends[t] - start for t, start in starts.items() if t in self._ends]
            # No track in common: after everything that was put out.
            shift = max(common) if common else max(self._ends.values()) - min(starts.values())
        self._shifts = {t: round(shift * self._timescales[t]) for t in starts}

    def place(self, track: str, pts: int, dts: int, duration: int) -> tuple[int, int]:
        """(pts, dts) of a unit on the output timeline."""
        shift = self._shifts[track]
        out_pts, out_dts = pts + shift, dts + shift
        last = self._last_dts.get(track)
        if last is not None and out_dts <= last:
            # Only where a run with a longer reorder delay follows one with a shorter.
            out_dts = last + 1
            out_pts = max(out_pts, out_dts)
        self._last_dts[track] = out_dts
        end = Fraction(out_pts + duration, self._timescales[track])
        self._ends[track] = max(self._ends.get(track, end), end)
        return out_pts, out_dts

    @property
    def end(self) -> Fraction:
        """Seconds from 0 to the end of the last picture or sound."""
        return max(self._ends.values(), default=Fraction(0))
