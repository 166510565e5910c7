"""One publisher's turn at a programme, and what it sent before the programme could begin.

Invariant: the backlog is bounded; when it overflows everything up to the newest keyframe goes, and
if that is still too much, all of it. Used by `hotpath.program.service`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hotpath.media.unit import VIDEO, Format, Unit
from hotpath.program.companion import apart
from hotpath.program.timeline import lead_of, programme_format

BACKLOG_UNITS = 4096
BACKLOG_BYTES = 32 * 1024 * 1024


@dataclass(slots=True)
class Session:
    """A connected publisher."""

    publisher: int
    connected: int
    """Monotonic ns."""
    last_units: int
    """Monotonic ns of the newest units (or of the connect)."""
    formats: tuple[Format, ...] = ()
    """In force, as the programme publishes them; without the companion's."""
    companion: Format | None = None
    """In force; a change needs no new beginning."""
    wanted: tuple[Format, ...] | None = None
    """To be put in force at the next keyframe."""
    begun: bool = False
    """Its units go on the timeline."""
    stalled: bool = False
    published: bool = False
    first_key: Unit | None = None
    """The keyframe (or audio frame) that the programme can begin with."""
    first_key_at: int = 0
    backlog: deque[Unit] = field(default_factory=deque)
    backlog_bytes: int = 0

    @property
    def every(self) -> tuple[Format, ...]:
        """Formats in force, the companion's with them."""
        return self.formats if self.companion is None else (*self.formats, self.companion)

    @property
    def lead(self) -> str | None:
        return lead_of(self.formats)

    def describe(self, formats: Sequence[Format]) -> None:
        """Formats that hold before the programme has begun."""
        self.formats, self.companion = apart(programme_format(format) for format in formats)
        if self.first_key is not None and self.first_key.track != self.lead:
            self.first_key = None
            self._find_first_key(self.backlog, self.first_key_at)

    def keep(self, units: Sequence[Unit], now: int) -> int:
        """Put units into the backlog; how many had to be left out."""
        self.backlog.extend(units)
        self.backlog_bytes += sum(len(unit.data) for unit in units)
        if self.first_key is None:
            self._find_first_key(units, now)
        return self._trim(now) if self._overflows() else 0

    def take(self) -> list[Unit]:
        """Empty the backlog."""
        units = list(self.backlog)
        self.backlog.clear()
        self.backlog_bytes = 0
        return units

    def _find_first_key(self, units: Sequence[Unit] | deque[Unit], now: int) -> None:
        lead = self.lead
        for unit in units:
            if unit.track == lead and unit.keyframe and not unit.damaged:
                self.first_key, self.first_key_at = unit, now
                return

    def _overflows(self) -> bool:
        return len(self.backlog) > BACKLOG_UNITS or self.backlog_bytes > BACKLOG_BYTES

    def _trim(self, now: int) -> int:
        units, lead = self.take(), self.lead
        keys = [n for n, unit in enumerate(units) if unit.track == lead and unit.keyframe]
        kept = units[keys[-1] :] if keys and lead == VIDEO else []
        self.first_key = None
        self._find_first_key(kept, now)
        self.backlog.extend(kept)
        self.backlog_bytes = sum(len(unit.data) for unit in kept)
        if self._overflows():
            kept = []
            self.first_key = None
            self.take()
        return len(units) - len(kept)
