"""One publisher's turn at a programme, and what it sent before the programme could begin.

Invariant: the backlog is bounded; when it overflows everything up to the newest keyframe goes, and
if that is still too much, all of it. Used by `hotpath.program.service`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hotpath.media.unit import AUDIO, COMPANION, FURTHER_AUDIO, VIDEO, Format, Unit
from hotpath.program.companion import apart
from hotpath.program.marks import same_media
from hotpath.program.options import ProgramOptions
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

    @property
    def has_picture(self) -> bool:
        """Whether the keyframe is there that the programme will begin with.

        Sound that is there before any picture is known waits for one, and does not count.
        """
        return self.first_key is not None and self.first_key.track == VIDEO

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

    def begins_at(self, options: ProgramOptions, *, audio_expected: bool) -> int | None:
        """When its units go on the air, with whatever is described by then; None: not known."""
        if self.first_key is None:
            return None
        tracks = {format.track for format in self.formats}
        if VIDEO not in tracks:
            return self.first_key_at + options.video_wait_ns
        wait = audio_expected and AUDIO not in tracks
        return self.first_key_at + (options.audio_wait_ns if wait else 0)

    def needs_new_beginning(
        self, coming: Sequence[Format], can_add: Callable[[Format], bool]
    ) -> bool:
        """Whether these formats cost a discontinuity: all do that concern what viewers play now.

        Sound may join without one, and further sounds may leave.
        """
        wanted = {format.track: format for format in coming}
        for format in self.formats:
            new = wanted.pop(format.track, None)
            leaves = new is None and format.track in FURTHER_AUDIO and format.track != self.lead
            if not leaves and (new is None or not same_media(format, new)):
                return True
        return VIDEO in wanted or not all(can_add(format) for format in wanted.values())

    def starts_wanted(self, unit: Unit) -> bool:
        """Whether the wanted formats can be put in force at this unit."""
        lead = lead_of(self.wanted or ())
        return unit.track == lead and unit.keyframe and not unit.damaged

    def usable_meanwhile(self, unit: Unit) -> bool:
        """Whether the unit is of a track that the wanted formats leave as it is."""
        if unit.track == COMPANION:
            return True
        present = next((f for f in self.formats if f.track == unit.track), None)
        coming = next((f for f in self.wanted or () if f.track == unit.track), None)
        return present is not None and coming is not None and same_media(present, coming)

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
