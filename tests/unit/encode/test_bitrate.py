"""A normalised picture takes about what its source does."""

from hotpath.encode.bitrate import FLOOR, Bitrate
from hotpath.media.unit import Codec

CAP = 4_000_000


def fed(bits: int, seconds: float, codec: Codec = Codec.H264) -> Bitrate:
    rate = Bitrate(codec, 90_000, CAP)
    for n in range(int(seconds * 30)):
        rate.receive(n * 3000, bits // 8 // 30)
    return rate


def test_it_follows_the_source_and_hevc_takes_more() -> None:
    assert abs(fed(1_000_000, 5).wanted(500_000) - 1_250_000) < 50_000
    assert abs(fed(1_000_000, 5, Codec.HEVC).wanted(500_000) - 1_600_000) < 50_000


def test_it_stays_between_its_bounds() -> None:
    assert fed(50_000_000, 5).wanted(1_000_000) == CAP
    assert fed(8_000, 5).wanted(1_000_000) == FLOOR
    assert Bitrate(Codec.H264, 90_000, CAP).first(3840, 2160, 60) == CAP


def test_small_changes_and_short_acquaintance_change_nothing() -> None:
    assert fed(1_000_000, 5).wanted(1_200_000) == 1_200_000
    assert fed(3_000_000, 0.5).wanted(700_000) == 700_000


def test_a_jump_of_the_clock_starts_the_measure_anew() -> None:
    rate = fed(3_000_000, 5)
    rate.receive(0, 1000)
    assert rate.wanted(700_000) == 700_000
