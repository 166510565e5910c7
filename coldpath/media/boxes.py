"""The boxes of an MP4: where they lie in given bytes, and how they are written; pure.

Invariant: a box that is found lies wholly inside of what was given; one that is cut short ends the
walk. Nothing is copied but what `find` returns.

Downstream: `samples`, `first_unit` and `init_section` read with it, `index` reads and writes.
Spec: ISO/IEC 14496-12 4.2.
"""

import struct
from collections.abc import Iterator

HEADER = 8
_head = struct.Struct(">I4s")


def boxes(
    data: bytes | memoryview, at: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """(kind, begin of the body, end of it)."""
    end = len(data) if end is None else end
    while at + HEADER <= end:
        size, kind = _head.unpack_from(data, at)
        if size < HEADER or at + size > end:
            return
        yield kind, at + HEADER, at + size
        at += size


def inside(data: bytes | memoryview, at: int, end: int) -> dict[bytes, tuple[int, int]]:
    """Where the bodies of the boxes in there are; of several of a kind, the first."""
    found: dict[bytes, tuple[int, int]] = {}
    for kind, first, last in boxes(data, at, end):
        found.setdefault(kind, (first, last))
    return found


def find(data: bytes, *path: bytes) -> bytes:
    """The body of the box at the end of the path. Raises `KeyError` with the kind that is not
    there."""
    at, end = 0, len(data)
    for kind in path:
        at, end = inside(data, at, end)[kind]
    return data[at:end]


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return header(kind, len(body)) + body


def header(kind: bytes, body: int) -> bytes:
    """That of a box with so many bytes of body."""
    return _head.pack(body + HEADER, kind)
