"""Delivery directives: what a playlist request with `_HLS_msn`, `_HLS_part`, `_HLS_skip` gets.

Invariant: a decision depends on the query and the playlist's edge alone. Upstream: `live`, which
serves playlists. Spec: draft-pantos-hls-rfc8216bis, 6.2.5; clauses are quoted by topic below.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

MAX_AHEAD_SEGMENTS = 2
MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Edge:
    """How far a media playlist reaches."""

    last_msn: int
    """Newest complete segment; one below the first segment when none is complete."""
    last_parts: int
    """Parts of that segment."""
    open_parts: int
    """Parts listed of the segment after it."""
    ended: bool
    part_target_ms: int

    def reached(self, msn: int, part: int | None) -> bool:
        """Whether the playlist holds segment `msn`, or its part `part`, or anything later."""
        if part is None:
            return msn <= self.last_msn
        if msn == self.last_msn + 1:
            return part < self.open_parts
        if msn == self.last_msn:
            # 6.2.5.2: a part past the last one of its segment is part 0 of the next segment.
            return part < self.last_parts or self.open_parts > 0
        return msn < self.last_msn


class Skip(Enum):
    """`_HLS_skip`: what the client can do without. 6.2.5.1: other values are not ours."""

    NOTHING = ""
    SEGMENTS = "YES"
    DATES = "v2"
    """Segments and date ranges."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Send the playlist as it is now."""

    skip: Skip = Skip.NOTHING


@dataclass(frozen=True, slots=True)
class Block:
    """Send the playlist once `Edge.reached(msn, part)`, 503 after three target durations."""

    msn: int
    part: int | None
    skip: Skip = Skip.NOTHING


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse at once."""

    reason: str
    status: int = 400


_SKIPS = {skip.value: skip for skip in Skip}

Decision: TypeAlias = Answer | Block | Reject


def decide(query: str, edge: Edge) -> Decision:
    """What to do with a playlist request that carries `query` (without the question mark)."""
    if not query or edge.ended:
        # 6.2.5.1, 6.2.5.2: directives are ignored once the playlist has EXT-X-ENDLIST.
        return Answer()
    try:
        msn, part, skip = _parse(query)
    except ValueError as error:
        return Reject(str(error))
    if msn is None and part is not None:
        return Reject("_HLS_part needs _HLS_msn")
    if msn is None or edge.reached(msn, part):
        return Answer(skip)
    if reason := _too_far(msn, part, edge):
        return Reject(reason)
    return Block(msn, part, skip)


@lru_cache(maxsize=64)  # players that wait for the same part ask with the same words
def _parse(query: str) -> tuple[int | None, int | None, Skip]:
    numbers: dict[str, int] = {}
    skip = Skip.NOTHING
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in ("_HLS_msn", "_HLS_part"):
            if name in numbers:
                raise ValueError(f"{name} is given twice")
            if not (value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS):
                raise ValueError(f"{name} is a decimal integer of at most {MAX_DIGITS} digits")
            numbers[name] = int(value)
        elif name == "_HLS_skip":
            skip = _SKIPS.get(value, Skip.NOTHING)
    return numbers.get("_HLS_msn"), numbers.get("_HLS_part"), skip


def _too_far(msn: int, part: int | None, edge: Edge) -> str | None:
    """6.2.5.2: two segments beyond the last, or the advance part limit beyond the last part."""
    if msn > edge.last_msn + MAX_AHEAD_SEGMENTS:
        return f"segment {msn} is too far ahead of {edge.last_msn}"
    limit = 3 if edge.part_target_ms >= 1000 else 3000 / edge.part_target_ms
    newest = edge.open_parts - 1 if msn == edge.last_msn + 1 else -1
    if part is not None and msn > edge.last_msn and part - newest > limit:
        return f"part {part} of segment {msn} is too far ahead"
    return None
