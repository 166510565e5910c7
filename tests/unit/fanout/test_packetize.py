"""H.264 to RTP payloads; aiortc's depacketizer is the independent witness."""

import re
from dataclasses import replace

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from hotpath.fanout.packetize import (
    MAX_PAYLOAD,
    H264Packetizer,
    opus_payloads,
    packetize_nals,
    profile_level_id,
    split_nals,
)
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit
from tests.support.coded import coded, decoded

START = b"\0\0\0\1"
SPS, PPS = b"\x67\x42\xc0\x1f\x8c", b"\x68\xce\x3c\x80"
FORMAT = Format(VIDEO, Codec.H264, 90_000, START + SPS + START + PPS, "avc1.42c01f")


def unit(*nals: bytes, keyframe: bool = False) -> Unit:
    return Unit(VIDEO, 0, 0, keyframe, b"".join(START + nal for nal in nals), 0, 0)


def slice_nal(size: int, kind: int = 0x41) -> bytes:
    return bytes((kind,)) + bytes(n % 255 + 1 for n in range(size - 1))


def witnessed(payloads: list[bytes]) -> bytes:
    """The Annex B stream that aiortc makes of payloads."""
    return b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads)


def sent(*nals: bytes, keyframe: bool = False) -> list[bytes]:
    return H264Packetizer(FORMAT).payloads(unit(*nals, keyframe=keyframe))


def test_rfc6184_5_6_a_small_nal_unit_travels_as_it_is() -> None:
    assert sent(slice_nal(700)) == [slice_nal(700)]


def test_rfc6184_5_7_1_small_nal_units_share_a_packet() -> None:
    sei = b"\x06\x05\x02ab\x80"
    (payload,) = sent(sei, slice_nal(500))
    assert payload[0] == 0x58  # the highest importance of those inside
    assert witnessed([payload]) == START + sei + START + slice_nal(500)


@pytest.mark.parametrize("size", [1172, 1173, 1174, 2341, 2342, 20_000, 300_000, 3_000_000])
def test_rfc6184_5_8_a_large_nal_unit_is_cut_evenly_into_the_fewest_packets(size: int) -> None:
    nal = slice_nal(size, 0x65)
    payloads = packetize_nals([nal])
    lengths = [len(payload) for payload in payloads]
    assert max(lengths) <= MAX_PAYLOAD
    assert len(set(lengths[:-1])) <= 1
    assert lengths[-1] <= lengths[0]
    assert len(payloads) == max(1, -(-(size - 1) // 1170) if size > MAX_PAYLOAD else 1)
    assert witnessed(payloads) == START + nal
    if len(payloads) > 1:
        assert [p[1] >> 6 for p in payloads] == [2, *[0] * (len(payloads) - 2), 1]


def test_a_keyframe_is_one_aggregate_and_one_run_of_equal_packets() -> None:
    first, *run = sent(SPS, PPS, slice_nal(50_000, 0x65), keyframe=True)
    assert first[0] & 31 == 24
    assert len({len(payload) for payload in run[:-1]}) == 1


def test_parameter_sets_are_put_before_a_keyframe_that_lacks_them() -> None:
    idr = slice_nal(100, 0x65)
    whole = witnessed(sent(SPS, PPS, idr, keyframe=True))
    assert witnessed(sent(idr, keyframe=True)) == whole
    assert SPS not in witnessed(sent(slice_nal(100)))


def test_delimiters_and_filler_are_left_out_and_sei_stays() -> None:
    sei = b"\x06\x05\x10PEERWALLCLOCK#1!\x80"
    payloads = sent(b"\x09\x10", sei, slice_nal(50), b"\x0c\xff\xff\x80")
    assert witnessed(payloads) == START + sei + START + slice_nal(50)


def test_zero_bytes_between_nal_units_belong_to_none() -> None:
    assert split_nals(b"\0\0\0\1ab\0\0\0\0\1cd\0\0") == [b"ab", b"cd"]
    assert split_nals(b"\0\0\1") == []
    assert split_nals(b"no start code") == []


@pytest.mark.parametrize("video", ["h264", "h264-b"])
def test_a_real_stream_decodes_to_the_same_pictures(video: str) -> None:
    source = coded(video, None, seconds=2)
    packetizer = H264Packetizer(source.format(VIDEO))
    payloads = [packetizer.payloads(unit) for unit in source.track(VIDEO)]
    assert all(len(payload) <= MAX_PAYLOAD for frame in payloads for payload in frame)
    stream = b"".join(witnessed(frame) for frame in payloads)
    assert decoded(stream, "h264") == decoded(source.elementary[VIDEO], "h264")


def test_the_profile_is_the_streams() -> None:
    assert profile_level_id(FORMAT) == "42c01f"
    real = coded("h264", None, seconds=1).format(VIDEO)
    assert re.fullmatch("42c0[0-9a-f]{2}", profile_level_id(real))
    assert profile_level_id(replace(FORMAT, config=b"")) == "42e01f"


def test_rfc7587_4_2_one_opus_packet_is_one_payload() -> None:
    opus = Unit(AUDIO, 0, 0, True, b"opus", 0, 0)
    assert opus_payloads(opus) == [b"opus"]
    assert opus_payloads(replace(opus, data=b"")) == []
    assert opus_payloads(replace(opus, data=bytes(1200))) == []


@given(st.lists(st.binary(min_size=2, max_size=3000), max_size=12), st.integers(50, 1500))
def test_any_nal_units_come_back(raw: list[bytes], limit: int) -> None:
    nals = [bytes((nal[0] % 23 + 1,)) + nal[1:] for nal in raw]
    payloads = packetize_nals(nals, limit)
    assert all(0 < len(payload) <= limit for payload in payloads)
    assert witnessed(payloads) == b"".join(START + nal for nal in nals)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([0, 1, 9, 103])).map(bytes))
def test_any_bytes_are_packetized(data: bytes) -> None:
    H264Packetizer(FORMAT).payloads(Unit(VIDEO, 0, 0, True, data, 0, 0))
