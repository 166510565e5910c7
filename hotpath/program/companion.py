"""The companion: the publisher's own Opus beside the AAC that was made from it.

Invariant: it changes nothing for the programme's other tracks: it gets no marks, ends no segment
and starts no discontinuity. Its format is published before the samples that need it, and its
absence once. Pure; used by `hotpath.program.service` and `session`.
"""

from collections.abc import Iterable

from hotpath.media.unit import (
    COMPANION,
    CompanionEnd,
    CompanionSample,
    Format,
    FormatChange,
    Item,
    Unit,
)

NS = 1_000_000_000


def apart(formats: Iterable[Format]) -> tuple[tuple[Format, ...], Format | None]:
    """(formats of the tracks that get marks, the companion's)."""
    every = tuple(formats)
    marked = tuple(format for format in every if format.track != COMPANION)
    return marked, next((format for format in every if format.track == COMPANION), None)


class Companion:
    """The companion of one incarnation of a programme."""

    def __init__(self, epoch_ns: int) -> None:
        self._epoch_ns = epoch_ns
        self._published: Format | None = None
        self._number = 0
        """Of the next format."""

    @property
    def format(self) -> Format | None:
        """As published last; None: readers know of no companion."""
        return self._published

    def announce(self, format: Format | None) -> list[Item]:
        """What readers have to know, now that this is (or none is) in force."""
        if format == self._published:
            return []
        self._published = format
        if format is None:
            return [CompanionEnd()]
        self._number += 1
        return [FormatChange(format, self._number - 1)]

    def write(self, unit: Unit, now_ns: int) -> list[Item]:
        """A unit on the programme's clock, as it is published."""
        if self._published is None or unit.damaged:
            return []
        pdt_ns = self._epoch_ns + unit.pts * NS // self._published.timescale
        return [CompanionSample(unit, pdt_ns, now_ns)]
