"""Byte ranges of media files: what a `Range` header asks for.

Invariant: what is not one satisfiable or unsatisfiable range is ignored, as RFC 9110 14.2 allows a
server for any range; the answer is then the whole file. Pure. Upstream: the
origin's `asking`, `infra.control.delivery`.
"""

from dataclasses import dataclass

MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `first` up to and without `end` of a file; none: the range cannot be satisfied."""

    first: int
    end: int

    @property
    def satisfiable(self) -> bool:
        return self.first < self.end


def requested(header: bytes, length: int) -> ByteRange | None:
    """The range that `header` asks of a file of `length` bytes; None: the whole file."""
    unit, _, ranges = header.partition(b"=")
    first, dash, last = ranges.strip(b" \t").partition(b"-")
    if unit.lower() != b"bytes" or not dash or not (_number(first) or _number(last)):
        return None
    if not first:
        return ByteRange(max(length - int(last), 0), length) if _number(last) else None
    if not _number(first) or (last and not (_number(last) and int(first) <= int(last))):
        return None
    return ByteRange(int(first), min(int(last) + 1, length) if last else length)


def _number(text: bytes) -> bool:
    return text.isdigit() and len(text) <= MAX_DIGITS
