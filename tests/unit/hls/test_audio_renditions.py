"""Further sounds beside the source's first: when players are told of them."""

import pytest

from hotpath.hls.offers import FURTHER_AUDIO_LATE
from hotpath.media.unit import AUDIO, VIDEO
from tests.support.m3u8 import attributes
from tests.support.made_up import LIVE, TRACKS, MadeUp

GERMAN = "audio-2"
ALL = (*TRACKS, GERMAN)


async def sounds(programme: MadeUp) -> list[str]:
    text = (await programme.ask(f"{LIVE}index.m3u8")).body.decode()
    media = [line for line in text.splitlines() if line.startswith("#EXT-X-MEDIA:")]
    return [attributes(line)["URI"] for line in media]


async def test_all_sounds_are_offered_with_the_first_segment() -> None:
    programme = MadeUp(ALL)
    programme.segment(0, (GERMAN,))
    assert not programme.live.playable
    programme.segment(0)
    assert await sounds(programme) == ["audio.m3u8", "audio-2.m3u8"]


@pytest.mark.parametrize("tracks", [TRACKS, (AUDIO,)])
async def test_one_that_is_late_is_waited_for_and_not_for_long(tracks: tuple[str, ...]) -> None:
    programme = MadeUp((*tracks, GERMAN))
    programme.segment(0, tracks)
    assert not programme.live.playable
    programme.segment(1, tracks)
    assert programme.live.playable


async def test_one_that_begins_later_is_offered_from_its_first_part() -> None:
    programme = MadeUp()
    programme.segment(0)
    programme.init(GERMAN)
    assert await sounds(programme) == ["audio.m3u8"]
    programme.part(GERMAN, 1, 0)
    assert await sounds(programme) == ["audio.m3u8", "audio-2.m3u8"]


async def test_one_that_falls_silent_is_offered_for_a_while_and_again_when_it_is_back() -> None:
    programme = MadeUp(ALL)
    programme.segment(0, ALL)
    last = FURTHER_AUDIO_LATE + 1
    for msn in range(1, last + 1):
        assert len(await sounds(programme)) == 2
        programme.segment(msn)
        programme.gap(GERMAN, msn)
    assert await sounds(programme) == ["audio.m3u8"]
    found = await programme.found(GERMAN)
    assert [segment.gap for segment in found.segments[-3:]] == [True] * 3
    programme.segment(last + 1, ALL)
    assert len(await sounds(programme)) == 2


async def test_every_playlist_reports_on_every_sound() -> None:
    programme = MadeUp(ALL)
    programme.segment(0, ALL)
    for track in ALL:
        reports = (await programme.found(track)).tags["#EXT-X-RENDITION-REPORT"]
        others = {f"{other}.m3u8" for other in ALL if other != track}
        assert {attributes(report)["URI"] for report in reports} == others


async def test_a_programme_without_a_picture_offers_its_sounds() -> None:
    programme = MadeUp((AUDIO, GERMAN))
    programme.segment(0, (AUDIO, GERMAN))
    assert await sounds(programme) == ["audio.m3u8", "audio-2.m3u8"]
    assert VIDEO not in (await programme.ask(f"{LIVE}index.m3u8")).body.decode()
