"""What init sections say of their tracks, against what the encoder was told."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldpath.errors import DamagedMedia
from coldpath.media.init_section import Track, track
from tests.support.session import encode


def test_an_init_section_says_what_its_track_is() -> None:
    video, audio = encode()
    found = track(video.init, "it")
    assert found == Track("video", 90_000, found.codec, 320, 180)
    assert found.codec.startswith("avc1.4d40") or found.codec.startswith("avc1.42c0")
    assert track(audio.init, "it") == Track("audio", 48_000, "mp4a.40.2", channels=2)


def test_the_codec_string_of_hevc() -> None:
    video, _ = encode(2.0, gop=25, codec="libx265")
    # Main profile, level 2, as ISO/IEC 14496-15 E.3 writes it.
    assert track(video.init, "it").codec.startswith(("hev1.1.6.L60", "hvc1.1.6.L60"))


@given(st.binary(max_size=200), st.integers(0, 5000))
def test_damage_raises_nothing_but_damage(garbage: bytes, at: int) -> None:
    good = encode()[0].init
    for data in (garbage, good[:at], good[:at] + garbage + good[at:]):
        with suppress(DamagedMedia):
            track(data, "live/x/init-0.mp4")


def test_damage_is_told_in_words() -> None:
    with pytest.raises(DamagedMedia, match=r"live/x/init-0\.mp4 is no init section"):
        track(b"\0\0\0\x08moov", "live/x/init-0.mp4")
