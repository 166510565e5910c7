"""Date ranges: what happens at a stretch of the timeline, and its `EXT-X-DATERANGE` line.

Invariant: a `DateRange` that exists renders to one line that every player can read; whatever could
not (a quote, a line break, a name in lower case, an end before the start) is refused when it is
made. Times are integers: Unix nanoseconds and microseconds. Pure.

Upstream: the node, with the markers of an event. Downstream: `playlist`.
Spec: draft-pantos-hls-rfc8216bis, 4.4.5.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from hotpath.hls.values import date_time, seconds, unquotable

T = TypeVar("T")

_YEAR_10000_NS = 253_402_300_800 * 1_000_000_000
MS_NS = 1_000_000
_CLIENT_ATTRIBUTE = re.compile(r"X-[A-Z0-9-]+")


class DateRangeError(ValueError):
    """A date range that no playlist may carry; the message says which attribute and why."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """One date range; see the module for the invariant."""

    id: str
    start_ns: int
    """Unix nanoseconds, on the clock of EXT-X-PROGRAM-DATE-TIME."""
    class_: str | None = None
    end_ns: int | None = None
    duration_us: int | None = None
    planned_duration_us: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Client attributes, `X-...`, whose values are quoted strings."""

    def __post_init__(self) -> None:
        if not self.id:
            raise DateRangeError("ID is empty")
        _check_text("ID", self.id)
        _check_text("CLASS", self.class_ or "")
        for name, value in self.attributes.items():
            if not _CLIENT_ATTRIBUTE.fullmatch(name):
                raise DateRangeError(f"{name!r} is not X- and then upper-case letters, digits, -")
            _check_text(name, value)
        _check_date("START-DATE", self.start_ns)
        _check_duration("DURATION", self.duration_us)
        _check_duration("PLANNED-DURATION", self.planned_duration_us)
        if self.end_ns is not None:
            self._check_end(self.end_ns)

    def _check_end(self, end_ns: int) -> None:
        _check_date("END-DATE", end_ns)
        if end_ns < self.start_ns:
            raise DateRangeError("END-DATE is before START-DATE")
        if self.duration_us is None:
            return
        # As a reader of the line adds it up: dates are written in milliseconds.
        if (end_ns // MS_NS - self.start_ns // MS_NS) * 1000 != self.duration_us:
            raise DateRangeError("END-DATE is not START-DATE and DURATION")

    @property
    def over_ns(self) -> int:
        """When it is over as far as it says, or is expected to be; its start if it says nothing."""
        if self.end_ns is not None:
            return self.end_ns
        known = self.planned_duration_us if self.duration_us is None else self.duration_us
        return self.start_ns + (known or 0) * 1000

    def augmented(self, more: "DateRange") -> "DateRange":
        """This one with what `more`, of the same ID, adds to it.

        4.4.5.1: an attribute that both have must have the same value in both.
        """
        if (more.id, more.start_ns) != (self.id, self.start_ns):
            raise DateRangeError(f"the date range {self.id!r} begins at another START-DATE")
        attributes = dict(self.attributes)
        for name, value in more.attributes.items():
            if attributes.setdefault(name, value) != value:
                raise DateRangeError(f"the date range {self.id!r} has another {name}")
        return DateRange(
            self.id,
            self.start_ns,
            self._either("CLASS", self.class_, more.class_),
            self._either("END-DATE", self.end_ns, more.end_ns),
            self._either("DURATION", self.duration_us, more.duration_us),
            self._either("PLANNED-DURATION", self.planned_duration_us, more.planned_duration_us),
            attributes,
        )

    def _either(self, name: str, old: T | None, new: T | None) -> T | None:
        if old is not None and new is not None and old != new:
            raise DateRangeError(f"the date range {self.id!r} has another {name}")
        return new if old is None else old


def render(one: DateRange) -> str:
    """Its line in a playlist, line break included."""
    parts = [f'ID="{one.id}"']
    if one.class_ is not None:
        parts.append(f'CLASS="{one.class_}"')
    parts.append(f'START-DATE="{date_time(one.start_ns)}"')
    if one.end_ns is not None:
        parts.append(f'END-DATE="{date_time(one.end_ns)}"')
    if one.duration_us is not None:
        parts.append(f"DURATION={seconds(one.duration_us)}")
    if one.planned_duration_us is not None:
        parts.append(f"PLANNED-DURATION={seconds(one.planned_duration_us)}")
    parts.extend(f'{name}="{value}"' for name, value in sorted(one.attributes.items()))
    return f"#EXT-X-DATERANGE:{','.join(parts)}\n"


def _check_text(name: str, value: str) -> None:
    if (character := unquotable(value)) is not None:
        raise DateRangeError(f"{name} contains {character!r}, which cannot be quoted")


def _check_date(name: str, ns: int) -> None:
    if not 0 <= ns < _YEAR_10000_NS:
        raise DateRangeError(f"{name} is not between the years 1970 and 9999")


def _check_duration(name: str, us: int | None) -> None:
    if us is not None and us < 0:
        raise DateRangeError(f"{name} is negative")
