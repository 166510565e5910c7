import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldpath.media import avcc
from coldpath.media.avcc import AvcConfig


def exp_golomb(number: int) -> str:
    bits = f"{number + 1:b}"
    return "0" * (len(bits) - 1) + bits


def packed(bits: str) -> bytes:
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    return bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8))


def sps(number: int = 0, *, profile: int = 100, flags: int = 0, level: int = 31) -> bytes:
    return bytes([0x67, profile, flags, level]) + packed(exp_golomb(number))


def pps(number: int = 0, of: int = 0) -> bytes:
    return b"\x68" + packed(exp_golomb(number) + exp_golomb(of))


def config(**changes: int) -> AvcConfig:
    one = sps(**changes)
    return AvcConfig(one[1], one[2], one[3], 4, (one,), (pps(),), b"\xfd\xf8\xf8\0")


def test_a_record_is_written_as_it_was_read() -> None:
    data = config().to_bytes()
    assert AvcConfig.parse(data) == config()
    assert AvcConfig.parse(data).to_bytes() == data


def test_a_second_encoding_joins_the_first() -> None:
    both = config(level=30, flags=0x40).merged([sps(1, level=40)], [pps(1, of=1)])
    assert both.sps_ids == both.pps_ids == {0, 1}
    # A decoder must be told of the higher level and of constraints that hold for both.
    assert (both.level, both.compatibility) == (40, 0)
    assert AvcConfig.parse(both.to_bytes()) == both
    assert both.free_id() == 2


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (([sps(0)], [pps(1)]), "id is taken"),
        (([sps(1)], [pps(0)]), "id is taken"),
        (([sps(1, profile=66)], [pps(1)]), "profiles differ"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    new: tuple[list[bytes], list[bytes]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        config().merged(*new)


@given(st.integers(0, 31), st.integers(0, 255))
def test_ids_are_read(first: int, second: int) -> None:
    found = AvcConfig(100, 0, 31, 4, (sps(first),), (pps(second),))
    assert (found.sps_ids, found.pps_ids) == ({first}, {second})
    assert found.free_id() not in {first, second}


@given(st.binary(max_size=64))
def test_garbage_is_refused_in_words(data: bytes) -> None:
    try:
        found = AvcConfig.parse(data)
    except ValueError:
        return
    assert AvcConfig.parse(found.to_bytes()) == found


# An encoder puts 0x03 between zeros and what would look like a start code, and never ends with 0.
nal = st.lists(st.integers(1, 255), min_size=1, max_size=20).map(bytes)


@given(st.lists(nal, max_size=6), st.booleans())
def test_both_ways_of_writing_hold_the_same_units(nals: list[bytes], long: bool) -> None:
    start = b"\0\0\0\1" if long else b"\0\0\1"
    assert avcc.from_annex_b(b"".join(start + each for each in nals)) == nals
    assert list(avcc.nal_units(avcc.length_prefixed(nals))) == nals


def test_an_idr_picture_is_told_from_others() -> None:
    assert avcc.is_idr(avcc.length_prefixed([b"\x06\x05", b"\x65\x88"]))
    assert not avcc.is_idr(avcc.length_prefixed([b"\x06\x05", b"\x41\x9a"]))
    assert not avcc.is_idr(b"\0\0\0\x09\x65")
