"""A picture that is repeated: what an independent decoder makes of it, and what its headers say."""

from dataclasses import replace
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.media.annexb import START, BitReader
from hotpath.media.h264 import parse_sps
from hotpath.media.h264_idr import Idr, NotRewritable, nals
from hotpath.media.still import stills
from hotpath.media.unit import AUDIO, Codec, Format
from tests.support.pictures import ENCODERS, Source, encoded

IDR_OR_SLICE = (1, 5)


def pictures(name: str, units: list[bytes]) -> list[bytes]:
    """What a decoder shows, one picture a unit; it may report nothing."""
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.options = {"err_detect": "explode+crccheck+bitstream"}
    shown = []
    for number, unit in enumerate(units):
        packet = av.Packet(unit)
        packet.pts = packet.dts = number
        shown += decoder.decode(packet)
    shown += decoder.decode(None)
    assert not any(frame.is_corrupt for frame in shown)
    return [b"".join(bytes(plane) for plane in frame.planes) for frame in shown]


def idr_pic_id(nal: bytes, source: Source) -> int:
    """By another way than the product's: what stands before it is read, nothing is copied."""
    sps = next(each for each in nals(source.format.config) if each[0] & 31 == 7)
    info = parse_sps(sps)
    bits = BitReader(nal[1:40])
    for _ in range(3):
        bits.ue()
    bits.u(info.numbering.frame_num_bits)
    if info.interlaced and bits.u(1):
        bits.u(1)
    return bits.ue()


@pytest.mark.parametrize("name", ENCODERS)
def test_a_picture_repeated_is_shown_again_and_again(name: str) -> None:
    source = encoded(name)
    codec = "hevc" if source.format.codec is Codec.HEVC else "h264"
    key = next(unit for unit in reversed(source.units) if unit.keyframe)
    made = stills(source.format, key.data)
    (once,) = pictures(codec, [key.data])
    shown = pictures(codec, [made[n % len(made)] for n in range(7)])
    assert shown == [once] * 7


@pytest.mark.parametrize("name", ENCODERS)
def test_it_may_stand_between_what_was_before_and_what_comes_after(name: str) -> None:
    source = encoded(name)
    codec = "hevc" if source.format.codec is Codec.HEVC else "h264"
    made = stills(source.format, source.units[0].data)
    units = [unit.data for unit in source.units]
    shown = pictures(codec, [*units, *made, *made, *units])
    assert len(shown) == 2 * len(units) + 2 * len(made)
    assert shown[len(units) : -len(units)] == [shown[0]] * (2 * len(made))


@pytest.mark.parametrize("name", [name for name in ENCODERS if name.startswith("h264")])
def test_two_idr_pictures_in_a_row_differ_in_their_number(name: str) -> None:
    source = encoded(name)
    key = next(unit for unit in reversed(source.units) if unit.keyframe)
    made = stills(source.format, key.data)
    assert len(made) == 2
    numbers: list[int] = []
    for unit in made:
        slices = [nal for nal in nals(unit) if nal[0] & 31 in IDR_OR_SLICE]
        assert {nal[0] & 31 for nal in slices} == {5}
        found = {idr_pic_id(nal, source) for nal in slices}
        assert len(found) == 1
        numbers += found
    assert numbers == [2, 3]


def test_captions_and_filler_are_not_repeated() -> None:
    source = encoded("h264-cabac")
    sei, filler = START + b"\x06\x04\x01\x00\x80", START + b"\x0c" + b"\xff" * 50 + b"\x80"
    assert stills(source.format, sei + source.units[0].data + filler) == stills(
        source.format, source.units[0].data
    )


def test_an_idr_picture_that_cannot_be_rewritten_is_repeated_as_it_is() -> None:
    source = encoded("h264-cabac")
    unknown = replace(source.format, config=b"")
    (made,) = stills(unknown, source.units[0].data)
    assert [nal for nal in nals(made) if nal[0] & 31 == 5] == [
        nal for nal in nals(source.units[0].data) if nal[0] & 31 == 5
    ]


def test_a_picture_that_needs_others_cannot_be_repeated() -> None:
    source = encoded("h264-cabac")
    predicted = next(unit for unit in source.units if not unit.keyframe)
    assert stills(source.format, predicted.data) == ()


def test_a_picture_of_an_open_hevc_gop_is_one_that_was_spliced() -> None:
    source = encoded("hevc-open-gop")
    keys = [unit for unit in source.units if unit.keyframe]
    assert [len(stills(source.format, unit.data)) for unit in keys] == [1, 2, 2]
    made = stills(source.format, keys[1].data)
    assert {nal[0] >> 1 & 63 for unit in made for nal in nals(unit)} == {32, 33, 34, 18}
    assert made[0] != made[1]
    assert stills(replace(source.format, config=b""), keys[1].data) == ()


def test_what_holds_no_slice_is_no_picture() -> None:
    assert stills(encoded("h264-cabac").format, b"v") == ()


def test_sound_is_no_picture() -> None:
    assert stills(Format(AUDIO, Codec.AAC, 48_000, b"\x11\x90", "mp4a.40.2"), b"\x21\x10") == ()


def test_a_slice_that_refers_to_unknown_sets_is_refused() -> None:
    source = encoded("h264-cabac")
    slices = [nal for nal in nals(source.units[0].data) if nal[0] & 31 == 5]
    with pytest.raises(NotRewritable, match="not known"):
        Idr(b"").rewrite(slices[0], 2)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["h264-cavlc", "h264-cabac", "hevc-open-gop"]),
    st.binary(max_size=120),
    st.sampled_from([b"\x65", b"\x25", b"\x41", b"\x28\x01", b"\x2a\x01", b"\x2a", b""]),
    st.binary(max_size=8),
)
def test_any_bytes_are_rewritten_or_refused(
    name: str, data: bytes, head: bytes, sets: bytes
) -> None:
    source = encoded(name)
    unit = START + head + data
    made = stills(source.format, unit)
    for each in made if len(made) > 1 and name.startswith("h264") else ():
        assert b"\0\0\0" not in each.replace(START, b"")
    for kind in (b"\x67", b"\x68", b"\x42\x01", b"\x44\x01"):
        stills(replace(source.format, config=START + kind + sets), unit)
