"""draft-pantos-hls-rfc8216bis 4.4.6: what a multivariant playlist says about each rendition."""

from dataclasses import replace
from itertools import pairwise

import pytest

from hotpath.hls.multivariant import Stream, multivariant
from hotpath.hls.playlist import PlaylistError
from hotpath.hls.tags import VERSION
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format
from tests.support.m3u8 import attributes

AAC = Format(
    AUDIO, Codec.AAC, 48_000, b"", "mp4a.40.2", sample_rate=48_000, channels=2, frame_duration=1024
)
SOUND = Stream(AAC, "audio.m3u8", 160_000, 128_000)


def picture(track: str, height: int, bps: int, frame_duration: int = 3003) -> Stream:
    format = Format(
        track, Codec.H264, 90_000, b"", f"avc1.{height:06x}", height * 16 // 9, height,
        frame_duration=frame_duration,
    )  # fmt: skip
    return Stream(format, f"{track}.m3u8", bps, bps * 4 // 5)


SOURCE = picture(VIDEO, 1080, 6_000_000)
LADDER = (picture("360p", 360, 800_000), SOURCE, picture("720p", 720, 2_800_000))


def variants(text: str) -> list[tuple[str, dict[str, str]]]:
    """(URI, attributes) of each variant; every other line must be a tag."""
    lines = text.splitlines()
    assert lines[:2] == ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
    found = []
    for before, line in pairwise(lines):
        if not line.startswith("#"):
            tag, _, value = before.partition(":")
            assert tag == "#EXT-X-STREAM-INF"
            found.append((line, attributes(value)))
    return found


def groups(text: str) -> list[dict[str, str]]:
    lines = text.splitlines()
    return [attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:")]


def test_the_source_comes_first_and_then_the_tallest() -> None:
    listed = variants(multivariant(LADDER, [SOUND]))
    assert [uri for uri, _ in listed] == ["video.m3u8", "720p.m3u8", "360p.m3u8"]


def test_a_source_that_is_smaller_than_a_rung_is_first_all_the_same() -> None:
    listed = variants(multivariant([LADDER[2], picture(VIDEO, 480, 900_000)], [SOUND]))
    assert [uri for uri, _ in listed] == ["video.m3u8", "720p.m3u8"]


def test_every_variant_says_what_it_needs_with_its_sound() -> None:
    for uri, found in variants(multivariant(LADDER, [SOUND])):
        one = next(stream for stream in LADDER if stream.uri == uri)
        assert found == {
            "BANDWIDTH": str(one.peak_bps + SOUND.peak_bps),
            "AVERAGE-BANDWIDTH": str(one.average_bps + SOUND.average_bps),
            "CODECS": f"{one.format.codecs},mp4a.40.2",
            "RESOLUTION": f"{one.format.width}x{one.format.height}",
            "FRAME-RATE": "29.970",
            "AUDIO": "audio",
        }


def test_all_variants_share_one_audio_rendition() -> None:
    (group,) = groups(multivariant(LADDER, [SOUND], audio_only=True))
    assert group == {
        "TYPE": "AUDIO",
        "GROUP-ID": "audio",
        "NAME": "Audio 1",
        "DEFAULT": "YES",
        "AUTOSELECT": "YES",
        "CHANNELS": "2",
        "URI": "audio.m3u8",
    }


def test_sound_alone_is_the_last_variant_when_asked_for() -> None:
    uri, found = variants(multivariant(LADDER, [SOUND], audio_only=True))[-1]
    assert uri == "audio.m3u8"
    assert found == {
        "BANDWIDTH": "160000",
        "AVERAGE-BANDWIDTH": "128000",
        "CODECS": "mp4a.40.2",
        "AUDIO": "audio",
    }
    assert len(variants(multivariant(LADDER, [SOUND]))) == len(LADDER)


GERMAN = Stream(
    replace(AAC, track="audio-2", language="de", channels=1, codecs="mp4a.40.5"),
    "audio-2.m3u8", 64_000, 60_000,
)  # fmt: skip
SOUNDS = (Stream(replace(AAC, language="en"), "audio.m3u8", 160_000, 128_000), GERMAN)


def test_every_sound_is_in_the_one_group_and_the_first_is_the_default() -> None:
    first, second = groups(multivariant(LADDER, SOUNDS, audio_only=True))
    shared = {"TYPE": "AUDIO", "GROUP-ID": "audio", "AUTOSELECT": "YES"}
    assert first == shared | {
        "NAME": "English", "LANGUAGE": "en", "DEFAULT": "YES", "CHANNELS": "2", "URI": "audio.m3u8"
    }  # fmt: skip
    assert second == shared | {
        "NAME": "German", "LANGUAGE": "de", "DEFAULT": "NO", "CHANNELS": "1", "URI": "audio-2.m3u8"
    }  # fmt: skip


def test_a_variant_needs_what_its_largest_sound_does_and_every_codec() -> None:
    """4.4.6.2: the largest sum of bit rates that any playable combination has."""
    for uri, found in variants(multivariant(LADDER, SOUNDS)):
        one = next(stream for stream in LADDER if stream.uri == uri)
        assert found["BANDWIDTH"] == str(one.peak_bps + 160_000)
        assert found["AVERAGE-BANDWIDTH"] == str(one.average_bps + 128_000)
        assert found["CODECS"] == f"{one.format.codecs},mp4a.40.2,mp4a.40.5"


@pytest.mark.parametrize("audio_only", [False, True])
def test_a_programme_of_several_sounds_is_one_variant_of_its_first(audio_only: bool) -> None:
    text = multivariant([], SOUNDS, audio_only=audio_only)
    assert [group["URI"] for group in groups(text)] == ["audio.m3u8", "audio-2.m3u8"]
    ((uri, found),) = variants(text)
    assert (uri, found["BANDWIDTH"], found["AUDIO"]) == ("audio.m3u8", "160000", "audio")


@pytest.mark.parametrize("audio_only", [False, True])
def test_without_sound_there_is_no_group(audio_only: bool) -> None:
    text = multivariant(LADDER, audio_only=audio_only)
    assert groups(text) == []
    assert [uri for uri, _ in variants(text)] == ["video.m3u8", "720p.m3u8", "360p.m3u8"]
    assert all("AUDIO" not in found for _, found in variants(text))


@pytest.mark.parametrize("audio_only", [False, True])
def test_a_programme_of_sound_is_listed_once(audio_only: bool) -> None:
    text = multivariant([], [SOUND], audio_only=audio_only)
    assert groups(text) == []
    ((uri, found),) = variants(text)
    assert (uri, found["CODECS"]) == ("audio.m3u8", "mp4a.40.2")


def test_a_programme_of_nothing_has_no_playlist() -> None:
    with pytest.raises(PlaylistError):
        multivariant([])


def test_it_does_not_promise_independent_segments() -> None:
    """4.4.2.1: it would hold for the source, too, whose segments may begin anywhere."""
    assert "INDEPENDENT-SEGMENTS" not in multivariant(LADDER, [SOUND])
