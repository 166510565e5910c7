"""A connected publisher, and what is kept of it while it is not on the air.

Invariant: what is kept is bounded, and either empty or such that a programme can begin with it at
once: the newest keyframe and all that followed. When it overflows all of it goes, until the next
keyframe. Pure; used by `hotpath.program.switcher`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hotpath.media.unit import Format, Unit
from hotpath.program.marks import same_media
from hotpath.program.timeline import lead_of
from infra.publishers import Role

GOP_UNITS = 4096
GOP_BYTES = 32 * 1024 * 1024


class Gop:
    """Media of all tracks since the lead's newest keyframe, with the times at which it came."""

    def __init__(self) -> None:
        self.key: Unit | None = None
        self.key_at = 0
        """Monotonic ns at which the keyframe came."""
        self._units: deque[tuple[int, Unit]] = deque()
        self._bytes = 0

    def keep(self, units: Sequence[Unit], lead: str | None, now: int) -> None:
        """Put units behind the others; a keyframe of the lead makes those before it go."""
        for unit in units:
            if unit.track == lead and unit.keyframe and not unit.damaged:
                self._begin(unit, now)
            if self.key is not None:
                self._units.append((now, unit))
                self._bytes += len(unit.data)
        if len(self._units) > GOP_UNITS or self._bytes > GOP_BYTES:
            self.clear()

    def take(self) -> list[tuple[int, Unit]]:
        """Empty it: (monotonic ns at which it came, unit), in the order in which they came."""
        taken = list(self._units)
        self.clear()
        return taken

    def clear(self) -> None:
        self.key = None
        self._units.clear()
        self._bytes = 0

    def _begin(self, key: Unit, now: int) -> None:
        # Sound that belongs to the keyframe may have come before it.
        kept = [
            (at, unit)
            for at, unit in self._units
            if unit.track != key.track and unit.dts >= key.dts
        ]
        self.key, self.key_at = key, now
        self._units = deque(kept)
        self._bytes = sum(len(unit.data) for _, unit in kept)


@dataclass(slots=True)
class Present:
    """A connected publisher."""

    publisher: int
    role: Role
    last_units: int
    """Monotonic ns of the newest units (or of the connect)."""
    formats: tuple[Format, ...] = ()
    """As it described them last."""
    gop: Gop = field(default_factory=Gop)
    """Empty while it is on the air."""

    def describe(self, formats: Sequence[Format]) -> None:
        """What it says that it sends from now on."""
        coming = {format.track: format for format in formats}
        same = lead_of(formats) == lead_of(self.formats) and all(
            old.track in coming and same_media(old, coming[old.track]) for old in self.formats
        )
        self.formats = tuple(formats)
        if not same:
            self.gop.clear()

    def keep(self, units: Sequence[Unit], now: int) -> None:
        """Units that are not published, for the case that it has to step in."""
        self.gop.keep(units, lead_of(self.formats), now)
