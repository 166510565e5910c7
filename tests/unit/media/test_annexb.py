"""ITU-T H.264 annex B."""

import pytest

from hotpath.media.annexb import BitReader, nal_end, nal_starts

DATA = b"\0\0\0\x01\x09\xf0\0\0\x01\x67abc\0\0\0\x01\x65xyz"


def test_start_codes_of_three_and_four_bytes_are_told_apart() -> None:
    assert list(nal_starts(DATA)) == [(0, 4), (6, 9), (13, 17)]


def test_trailing_zeros_belong_to_what_follows() -> None:
    assert [nal_end(DATA, begin) for _, begin in nal_starts(DATA)] == [6, 13, 21]


def test_nothing_is_found_in_nothing() -> None:
    assert list(nal_starts(b"")) == list(nal_starts(b"\0\0\0")) == []


def test_exp_golomb_and_emulation_prevention() -> None:
    coded = int("10100110010000101".ljust(24, "0"), 2).to_bytes(3, "big")
    bits = BitReader(coded + b"\0\0\x03\x01")
    assert [bits.ue() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert bits.u(7) == 0
    assert bits.u(24) == 1


def test_signed_codes_alternate() -> None:
    bits = BitReader(bytes([0b1_010_011_0, 0b0100_0010, 0b1_0000000]))
    assert [bits.se() for _ in range(5)] == [0, 1, -1, 2, -2]


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x00\x00\x00"])
def test_reading_past_the_end_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"NAL unit|Exp-Golomb"):
        BitReader(data).ue()
