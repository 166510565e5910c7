"""What a rendition has listed and still owes its viewers, by media sequence number.

Invariant: a segment can be had from when it was listed until its own duration and that of the
longest playlist with it have passed since it left, and not before it was said to go; a gap never.
Numbers are contiguous. It costs 16 bytes a segment. Upstream: `rendition`. Time is an argument, in
ms. Spec: draft-pantos-hls-rfc8216bis, 6.2.2.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

_SLACK = 64
"""Segments that are forgotten at a time: the front of an array is not cheap to take off."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A media file that can be had."""

    bytes: int
    expires_ms: int | None
    """Not before; None: it stays."""


class Past:
    """See the module for the invariant."""

    def __init__(self) -> None:
        self._first = 0
        """Number of the oldest segment that is remembered."""
        self._listed = 0
        """Place of the oldest one that is still listed."""
        self._bytes = array("I")
        self._durations_ms = array("I")
        self._expires_ms = array("q")
        self._longest_ms = 0

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, msn: int, bytes: int, duration_ms: int, expires_ms: int) -> None:
        """It was listed, and said to be there until then. `bytes` 0: a gap."""
        if not self._bytes:
            self._first = msn
        self._bytes.append(bytes)
        self._durations_ms.append(duration_ms)
        self._expires_ms.append(expires_ms)

    def unlist(self, numbers: Sequence[int], listed_ms: int, now_ms: int) -> list[tuple[int, int]]:
        """These left a playlist that is so long without them; gives each with when it may go."""
        places = [msn - self._first for msn in numbers]
        longest_ms = listed_ms + sum(self._durations_ms[at] for at in places)
        self._longest_ms = max(self._longest_ms, longest_ms)
        for at in places:
            least_ms = now_ms + self._durations_ms[at] + self._longest_ms
            self._expires_ms[at] = max(self._expires_ms[at], least_ms)
            self._listed = at + 1
        gone = [(msn, self._expires_ms[at]) for msn, at in zip(numbers, places, strict=True)]
        self._forget(now_ms)
        return gone

    def find(self, msn: int, now_ms: int) -> Kept | None:
        """The segment, if it can be had now."""
        at = msn - self._first
        if not 0 <= at < len(self._bytes) or not self._bytes[at]:
            return None
        expires_ms = self._expires_ms[at]
        if at >= self._listed:
            # Were it to leave now, it would still be there for so long.
            least_ms = now_ms + self._durations_ms[at] + self._longest_ms
            return Kept(self._bytes[at], max(expires_ms, least_ms))
        return Kept(self._bytes[at], expires_ms) if now_ms < expires_ms else None

    def _forget(self, now_ms: int) -> None:
        gone = 0
        while gone < self._listed and self._expires_ms[gone] <= now_ms:
            gone += 1
        if gone >= _SLACK:
            for column in (self._bytes, self._durations_ms, self._expires_ms):
                del column[:gone]
            self._first += gone
            self._listed -= gone
