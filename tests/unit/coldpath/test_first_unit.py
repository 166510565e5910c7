"""Cutting the first access unit out of a segment."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldpath.errors import DamagedMedia
from coldpath.media.boxes import box
from coldpath.media.first_unit import first_unit

UNIT, NEXT = b"first unit", b"second"


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def segment(
    *, tfhd: bytes = words(0x020000, 1), flags: int = 0x201, before: bytes = b"", rows: bytes = b""
) -> bytes:
    """A styp, a moof whose trun has `before` and `rows` behind its offset, and an mdat."""
    rows = rows or words(len(UNIT), len(NEXT))

    def moof(offset: int) -> bytes:
        trun = box(b"trun", words(flags, 2, offset), before, rows)
        tfdt = box(b"tfdt", words(0, 0))
        return box(b"moof", box(b"mfhd", words(0, 1)), box(b"traf", box(b"tfhd", tfhd), tfdt, trun))

    offset = len(moof(0)) + 8
    return box(b"styp", b"msdh") + moof(offset) + box(b"mdat", UNIT, NEXT)


@pytest.mark.parametrize(
    "made",
    [
        segment(),
        segment(flags=0x205, before=words(0x02000000)),
        segment(flags=0x301, rows=words(3000, len(UNIT), 3000, len(NEXT))),
        segment(flags=0x01000F01, rows=words(9, len(UNIT), 0, 0, 9, len(NEXT), 0, 0)),
        segment(tfhd=words(0x020010, 1, len(UNIT)), flags=0x1, rows=words(0)),
        segment(tfhd=words(0x02003A, 1, 1, 3000, len(UNIT), 0), flags=0x1, rows=words(0)),
    ],
    ids=["sizes", "first-flags", "durations", "all-columns", "default-size", "all-defaults"],
)
def test_wherever_its_size_is_written(made: bytes) -> None:
    assert first_unit(made, "s1") == UNIT


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (b"", "s1 holds no fragment"),
        (box(b"mdat", UNIT), "s1 holds no fragment"),
        (segment()[: -len(NEXT) - 1], "9 of 10 bytes"),
        (segment(flags=0x200), "where its data is"),
        (segment(tfhd=words(0x1, 1, 0, 0)), "the start of a file"),
        (segment(flags=0x1, rows=words(0)), "in the init section"),
        (segment(rows=words(0, len(NEXT))), "0 of 0 bytes"),
        (box(b"moof", box(b"mfhd", words(0, 1))), "missing: b'traf'"),
        (segment()[:60], "s1 holds no fragment"),
    ],
)
def test_what_is_not_there_is_named(made: bytes, why: str) -> None:
    with pytest.raises(DamagedMedia, match=why):
        first_unit(made, "s1")


def test_a_unit_is_never_taken_from_before_the_data() -> None:
    made = segment()
    at = made.index(b"trun") + 12
    for offset in (-1, -40, -(2**31), 0, 20):
        moved = made[:at] + struct.pack(">i", offset) + made[at + 4 :]
        with pytest.raises(DamagedMedia, match="before the data"):
            first_unit(moved, "s1")


@given(
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), max_size=6), st.integers(0, 200)
)
def test_any_bytes_are_a_unit_or_damaged(changes: list[tuple[int, int]], length: int) -> None:
    made = bytearray(segment())
    for at, value in changes:
        made[at % len(made)] = value
    with contextlib.suppress(DamagedMedia):
        assert first_unit(bytes(made[:length]), "s1")
