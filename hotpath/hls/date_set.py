"""The date ranges of one programme, the same for all of its renditions.

Invariant: a date range never changes, it only gains attributes; it goes when it is over for every
rendition; and there are at most `limit` tags, whatever is announced. Time is an argument, in ms.

Upstream: `live`. Downstream: `playlist`, which lists the tags.
Spec: draft-pantos-hls-rfc8216bis, 4.4.5.1 (augmenting), 6.2.1 (removal) and 6.2.5.1 (skipping).
"""

from collections import deque
from dataclasses import dataclass

from hotpath.hls.daterange import DateRange, DateRangeError, render
from hotpath.hls.tags import Delta

LIMIT = 200
DVR_LIMIT = 2_000
"""Where hours are listed: as many as the markers of an event can make."""


@dataclass(frozen=True, slots=True)
class DateTag:
    """One EXT-X-DATERANGE line; a date range that has gained attributes has several."""

    id: str
    line: str
    added_ms: int


class DateRangeSet:
    """See the module for the invariant."""

    def __init__(self, *, skip_ms: int, wait_ms: int, limit: int = LIMIT) -> None:
        """`skip_ms`: CAN-SKIP-UNTIL. `wait_ms`: for so long at most a request is held."""
        self.tags: list[DateTag] = []
        """In the order in which they were added."""
        self._skip_ms = skip_ms
        self._wait_ms = wait_ms
        self._limit = limit
        self._known: dict[str, DateRange] = {}
        self._first_ns = 0
        """Nothing that was over before is listed any more."""
        self._removed: deque[tuple[int, DateRange]] = deque(maxlen=LIMIT)
        """(when, which), oldest first."""

    def add(self, one: DateRange, now_ms: int) -> DateTag | None:
        """List it, or what it adds to the one with its ID.

        None when that is nothing, or over before anything that is listed.
        """
        known = self._known.get(one.id) or self._gone(one.id)
        merged = one if known is None else known.augmented(one)
        if merged == known or merged.over_ns < self._first_ns:
            return None
        if len(self.tags) >= self._limit:
            raise DateRangeError(
                f"{self._limit} date ranges are listed; {one.id!r} has to wait until one is over"
            )
        self._known[one.id] = merged
        # Whole, not only what is new: a player that never saw the first tag needs START-DATE.
        tag = DateTag(one.id, render(merged), now_ms)
        self.tags.append(tag)
        return tag

    def trim(self, first_ns: int, now_ms: int) -> frozenset[str]:
        """Forget what was over before `first_ns`, where the earliest listed segment begins.

        A date range that does not say how long it takes counts as a moment: 6.2.1 would have it
        stay for ever otherwise.
        """
        self._first_ns = max(self._first_ns, first_ns)
        over = [one for one in self._known.values() if one.over_ns < self._first_ns]
        for one in over:
            del self._known[one.id]
            self._removed.append((now_ms, one))
        gone = frozenset(one.id for one in over)
        if gone:
            self.tags = [tag for tag in self.tags if tag.id not in gone]
        return gone

    def delta(self, now_ms: int) -> Delta:
        """What a `_HLS_skip=v2` update leaves out and names as removed.

        Removed ones are named for as long as a request may have been held, too: what counts is
        when the request was made. One that has come back is not: players would forget it.
        """
        skipped = sum(tag.added_ms < now_ms - self._skip_ms for tag in self.tags)
        since = now_ms - self._skip_ms - self._wait_ms
        recent = dict.fromkeys(one.id for at_ms, one in self._removed if at_ms >= since)
        return Delta(skipped, tuple(id for id in recent if id not in self._known))

    def _gone(self, id: str) -> DateRange | None:
        """6.2.1: an ID is not used again for another date range; the latest are remembered."""
        return next((one for _, one in reversed(self._removed) if one.id == id), None)
