"""The lead's clock: how far the programme has come, and where its segments start.

Invariant: the clock never goes back between restarts. Times inside are ticks of the lead; other
tracks ask in theirs. Pure; used only by `hotpath.program.marks`.
"""

from collections import deque

from hotpath.program.track import Track


class LeadClock:
    """The lead of the present stretch and the boundaries it has set."""

    def __init__(self) -> None:
        self.track: Track | None = None
        self.ticks: int | None = None
        """Up to here the lead is known (or taken) to be complete."""
        self._boundaries: deque[tuple[int, int]] = deque()
        """(msn, its start) of segments that another track has not reached yet."""

    def restart(self, lead: Track | None) -> None:
        """A new stretch begins."""
        self.track = lead
        self.ticks = None
        self._boundaries.clear()

    def passed(self, ticks: int) -> None:
        """The lead has come so far."""
        self.ticks = ticks if self.ticks is None else max(self.ticks, ticks)

    def cut(self, msn: int, start: int) -> None:
        """Segment `msn` starts here."""
        self._boundaries.append((msn, start))
        self.passed(start)

    def forget(self, reached: int) -> None:
        """Every track has reached this segment."""
        while self._boundaries and self._boundaries[0][0] <= reached:
            self._boundaries.popleft()

    def end_of_open_segment(self, track: Track) -> int | None:
        """Where the track's open segment ends, in its ticks; None while the lead's is open too."""
        for msn, start in self._boundaries:
            if msn == track.msn + 1:
                return self.to(track, start)
        return None

    def to(self, track: Track, ticks: int) -> int:
        """Lead ticks as ticks of `track`, rounded up."""
        lead = self.track
        if lead is None or lead is track:
            return ticks
        return -(-ticks * track.format.timescale // lead.format.timescale)

    def of(self, track: Track, ticks: int) -> int:
        """Ticks of `track` as lead ticks, rounded up."""
        lead = self.track
        if lead is None or lead is track:
            return ticks
        return -(-ticks * lead.format.timescale // track.format.timescale)
