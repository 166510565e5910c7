"""Boxes: found where they are, never outside of what was given, and read as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldpath.media.boxes import box, boxes, find, inside


def test_a_box_is_found_at_the_end_of_its_path() -> None:
    data = box(b"ftyp") + box(b"moov", box(b"mvhd", b"a"), box(b"trak", box(b"tkhd", b"b")))
    assert find(data, b"moov", b"trak", b"tkhd") == b"b"
    assert find(data, b"ftyp") == b""
    with pytest.raises(KeyError, match="mdia"):
        find(data, b"moov", b"trak", b"mdia")


def test_of_several_of_a_kind_the_first_counts() -> None:
    data = box(b"trak", b"one") + box(b"trak", b"two")
    assert find(data, b"trak") == b"one"
    assert inside(data, 0, len(data)) == {b"trak": (8, 11)}
    assert [data[at:end] for _, at, end in boxes(data)] == [b"one", b"two"]


@pytest.mark.parametrize("end", [b"\0\0\0\x09moov", b"\0\0\0\x07moov", b"\0\0\0\0mdat", b"\0" * 7])
def test_a_box_that_is_cut_short_or_has_no_size_ends_the_walk(end: bytes) -> None:
    assert [kind for kind, _, _ in boxes(box(b"free") + end)] == [b"free"]


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 200))
def test_nothing_is_found_outside(data: bytes, at: int, end: int) -> None:
    end = min(end, len(data))
    for _, first, last in boxes(data, at, end):
        assert at + 8 <= first <= last <= end
