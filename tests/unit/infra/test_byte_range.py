"""Byte ranges: RFC 9110 14.1 and 14.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.byte_range import requested


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"bytes=0-0", b"0"),
        (b"bytes=2-5", b"2345"),
        (b"bytes=7-", b"789"),
        (b"bytes=-3", b"789"),
        (b"bytes=-99", b"0123456789"),
        (b"bytes=8-9007199254740991", b"89"),
        (b"Bytes= 0-1 ", b"01"),
    ],
)
def test_one_range(header: bytes, expected: bytes) -> None:
    found = requested(header, 10)
    assert found is not None
    assert found.satisfiable
    assert b"0123456789"[found.first : found.end] == expected


@pytest.mark.parametrize("header", [b"bytes=10-", b"bytes=10-12", b"bytes=-0"])
def test_a_range_beyond_the_end(header: bytes) -> None:
    found = requested(header, 10)
    assert found is not None
    assert not found.satisfiable


@pytest.mark.parametrize(
    "header",
    [b"", b"bytes", b"bytes=", b"bytes=-", b"bytes=5-2", b"bytes=0-1,3-4", b"bytes=a-b",
     b"bytes=1-b", b"bytes=--1", b"bytes=+1-2", b"lines=0-1", b"bytes=1-" + b"9" * 5000],
)  # fmt: skip
def test_what_is_not_one_range_is_ignored(header: bytes) -> None:
    assert requested(header, 10) is None


@given(
    header=st.binary(max_size=20) | st.from_regex(rb"bytes=\d{0,3}-\d{0,3}", fullmatch=True),
    length=st.integers(0, 200),
)
def test_any_header_is_decided(header: bytes, length: int) -> None:
    found = requested(header, length)
    if found is not None and found.satisfiable:
        assert 0 <= found.first < found.end <= length
