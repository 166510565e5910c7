"""Playlists as a player reads them, and where it starts in them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.demo.errors import MediaError
from infra.demo.m3u8 import Variant, parse_media, parse_multivariant
from infra.demo.rendition import Place, starting_place

MEDIA = """#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,HOLD-BACK=6
#EXT-X-MEDIA-SEQUENCE:41
#EXT-X-MAP:URI="i/init-0.mp4"
#EXTINF:2.00000,
i/s41.m4s
#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.125Z
#EXT-X-GAP
#EXTINF:2,
i/s42.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="i/init-1.mp4"
#EXT-X-PART:DURATION=0.5,URI="i/s43.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.4,URI="i/s43.1.m4s",GAP=YES
#EXTINF:0.9,
i/s43.m4s
#EXT-X-PART:DURATION=0.5,URI="i/s44.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI="i/s44.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="i/s44.2.m4s"
#EXT-X-RENDITION-REPORT:URI="audio.m3u8",LAST-MSN=44,LAST-PART=1
"""
S = 1_000_000_000


def test_media_playlist() -> None:
    playlist = parse_media(MEDIA)
    assert playlist.target_duration_ns == 2 * S
    assert playlist.part_hold_back_ns == 1_500_000_000
    assert not playlist.ended
    assert [segment.msn for segment in playlist.segments] == [41, 42, 43, 44]
    assert [segment.uri for segment in playlist.segments] == [
        "i/s41.m4s",
        "i/s42.m4s",
        "i/s43.m4s",
        None,
    ]
    assert [segment.gap for segment in playlist.segments] == [False, True, False, False]
    assert [segment.init for segment in playlist.segments][1:3] == ["i/init-0.mp4", "i/init-1.mp4"]
    assert [part.gap for part in playlist.segments[2].parts] == [False, True]
    assert [segment.date_ms for segment in playlist.segments] == [
        None,
        1_700_000_000_125,
        None,
        None,
    ]
    assert playlist.duration_ns == 2 * S + 2 * S + 900_000_000 + S


def test_end_of_the_list_is_seen() -> None:
    assert parse_media(MEDIA + "#EXT-X-ENDLIST\n").ended


@pytest.mark.parametrize("text", ["", "<html>", "#EXTM3U\n#EXT-X-VERSION:9\n"])
def test_what_is_no_media_playlist_is_refused(text: str) -> None:
    with pytest.raises(MediaError):
        parse_media(text)


def test_multivariant_with_and_without_audio() -> None:
    head = "#EXTM3U\n"
    media = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x, y",URI="audio.m3u8"\n'
    stream = "#EXT-X-STREAM-INF:BANDWIDTH=1\nvideo.m3u8\n"
    assert parse_multivariant(head + media + stream) == (Variant("video.m3u8", "audio.m3u8", 1),)
    assert parse_multivariant(head + stream) == (Variant("video.m3u8", None, 1),)
    other = media.replace("audio.m3u8", "audio-2.m3u8")
    default = media.replace("URI", "DEFAULT=YES,URI")
    for several in (media + other, other + default, default + other):
        found = parse_multivariant(head + several + stream)
        assert found == (Variant("video.m3u8", "audio.m3u8", 1),), several
    for none in ("", "#EXT-X-STREAM-INF:BANDWIDTH=1\n", "#EXT-X-STREAM-INF:BANDWIDTH=x\na\n"):
        with pytest.raises(MediaError):
            parse_multivariant(head + none)


def test_multivariant_lists_every_variant_in_order() -> None:
    text = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="audio.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2500000,CODECS="a,b",RESOLUTION=1280x720
video.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO="a"
360p.m3u8
"""
    assert parse_multivariant(text) == (
        Variant("video.m3u8", "audio.m3u8", 3_000_000, 2_500_000, "1280x720"),
        Variant("360p.m3u8", "audio.m3u8", 900_000),
    )


@pytest.mark.parametrize(
    ("back_s", "place"),
    [
        (0.2, Place(44, 0, 800_000_000)),
        (1.0, Place(44, 0, 0)),
        (1.5, Place(43, 0, 400_000_000)),
        (2.0, Place(41, 0, 3_900_000_000)),  # 42 is a gap
        (99.0, Place(41, 0, 0)),
    ],
)
def test_starts_at_the_last_independent_part_before_the_hold_back(
    back_s: float, place: Place
) -> None:
    assert starting_place(parse_media(MEDIA), round(back_s * S)) == place


@given(st.text(max_size=400), st.integers(0, len(MEDIA)))
def test_damaged_playlist_is_a_media_error(noise: str, at: int) -> None:
    with contextlib.suppress(MediaError):
        parse_media(MEDIA[:at] + noise + MEDIA[at:])
