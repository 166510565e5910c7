"""ITU-T H.264 §7.3 and annex E."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.media import h264
from tests.support.ts import AUD, PPS, SPS, SPS_SMALL, nal


def test_an_sps_tells_size_profile_and_frame_duration() -> None:
    info = h264.parse_sps(SPS)
    assert (info.width, info.height, info.codecs) == (640, 360, "avc1.42c01e")
    assert (info.frame_duration, info.interlaced) == (3000, False)


def test_cropping_is_in_chroma_units() -> None:
    # 1920x1080 is coded as 1920x1088 with four units of two lines cropped.
    info = h264.parse_sps(bytes.fromhex("674d40289a6403c0113f2e0220000003002000000781e30654"))
    assert (info.width, info.height) == (1920, 1080)


@given(st.binary(max_size=80))
def test_a_malformed_sps_is_a_value_error(data: bytes) -> None:
    try:
        info = h264.parse_sps(b"\x67" + data)
    except ValueError:
        return
    assert 0 < info.width <= 16384


def test_delimiters_are_stripped_and_parameter_sets_kept() -> None:
    unit = nal(SPS, PPS, b"\x65\x88\x84")
    head = h264.read_head(AUD + unit)
    assert (AUD + unit)[head.body_at :] == unit
    assert (head.keyframe, head.sps, head.pps) == (True, (SPS,), (PPS,))


def test_a_short_start_code_after_the_delimiter_is_kept_whole() -> None:
    unit = b"\0\0\x01\x65\x88\x84"
    data = b"\0\0\x01\x09\xf0" + unit
    assert data[h264.read_head(data).body_at :] == unit


@pytest.mark.parametrize(
    ("sei", "slice_", "keyframe"),
    [
        (b"\x06\x06\x01\x84\x80", b"\x41\x88", True),  # recovery point now, I slice
        (b"\x06\x06\x01\x44\x80", b"\x41\x88", False),  # recovery after one frame
        (b"\x06\x06\x01\x84\x80", b"\x41\x9a", False),  # a P slice is no place to start
        (b"\x06\x05\x02\xaa\xbb\x06\x01\x84\x80", b"\x41\x88", True),  # behind another message
        (b"\x06\x05\xff", b"\x41\x88", False),  # cut short
    ],
)
def test_open_gops_start_at_a_recovery_point(sei: bytes, slice_: bytes, keyframe: bool) -> None:
    assert h264.read_head(AUD + nal(sei, slice_ + b"\x11" * 9)).keyframe is keyframe


def test_an_access_unit_without_a_slice_says_so() -> None:
    assert not h264.read_head(AUD + nal(SPS, PPS)).has_slice


@given(st.binary(max_size=300))
def test_reading_a_head_never_raises(data: bytes) -> None:
    head = h264.read_head(data)
    assert head.body_at <= len(data)


class TestParameterSets:
    def test_config_is_annex_b_and_needs_both_kinds(self) -> None:
        sets = h264.ParameterSets()
        sets.update(h264.read_head(nal(SPS)))
        assert sets.config == b""
        sets.update(h264.read_head(nal(SPS, PPS)))
        assert sets.config == nal(SPS, PPS)

    def test_a_new_sps_replaces_the_old_sets(self) -> None:
        sets = h264.ParameterSets()
        sets.update(h264.read_head(nal(SPS, PPS)))
        sets.update(h264.read_head(nal(SPS_SMALL, PPS)))
        assert sets.config == nal(SPS_SMALL, PPS)
