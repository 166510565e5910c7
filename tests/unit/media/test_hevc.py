"""ITU-T H.265 §7.3; ISO/IEC 14496-15 annex E for the codecs string."""

from hypothesis import given
from hypothesis import strategies as st

from hotpath.media import hevc
from tests.support.ts import nal

VPS = bytes.fromhex("40010c01ffff01600000030090000003000003003f959409")
SPS = bytes.fromhex(
    "42010101600000030090000003000003003fa005020171f2e595952930bc05a020000003002000000303c1"
)
PPS = bytes.fromhex("4401c073c189")
AUD = nal(b"\x46\x01\x50")
IDR = b"\x26\x01\xaf\x11\x22"
TRAIL = b"\x02\x01\xd0\x11\x22"


def test_an_sps_tells_size_and_codecs() -> None:
    info = hevc.parse_sps(SPS)
    assert (info.width, info.height) == (640, 360)
    assert info.codecs == "hvc1.1.6.L63.90"


def test_an_irap_picture_is_a_keyframe_and_brings_its_sets() -> None:
    unit = nal(VPS, SPS, PPS, IDR)
    head = hevc.read_head(AUD + unit)
    assert head.keyframe
    assert (AUD + unit)[head.body_at :] == unit
    sets = hevc.ParameterSets()
    sets.update(head)
    assert sets.config == nal(VPS, SPS, PPS)


def test_a_trailing_picture_is_no_keyframe() -> None:
    head = hevc.read_head(AUD + nal(TRAIL))
    assert (head.keyframe, head.has_slice) == (False, True)


def test_config_needs_all_three_sets() -> None:
    sets = hevc.ParameterSets()
    sets.update(hevc.read_head(nal(SPS, PPS, IDR)))
    assert sets.config == b""


def test_a_malformed_sps_leaves_the_sets_as_they_were() -> None:
    sets = hevc.ParameterSets()
    sets.update(hevc.read_head(nal(VPS, SPS, PPS, IDR)))
    sets.update(hevc.read_head(nal(VPS, SPS[:9], PPS, IDR)))
    assert sets.config == nal(VPS, SPS, PPS)


@given(st.binary(max_size=120))
def test_any_bytes_parse_or_are_a_value_error(data: bytes) -> None:
    assert hevc.read_head(data).body_at <= len(data)
    try:
        info = hevc.parse_sps(b"\x42\x01" + data)
    except ValueError:
        return
    assert 0 < info.width <= 16384
