"""Further sounds beside the source's first: when players are told of them."""

import asyncio
from dataclasses import replace

import pytest

from hotpath.hls.fmp4 import read_fragments
from hotpath.hls.offers import FURTHER_AUDIO_LATE
from hotpath.media.unit import AUDIO, VIDEO, Unit
from tests.support.asking import respond
from tests.support.coded import Coded, coded, marked
from tests.support.m3u8 import Playlist, attributes, parse
from tests.support.made_up import LIVE, TRACKS, MadeUp
from tests.support.on_air import OnAir, on_air

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


def bilingual(hole: range) -> Coded:
    """Real media with the sound a second time, which lacks the seconds of the hole."""
    source = coded(seconds=8)
    german = replace(source.format(AUDIO), track=GERMAN, language="de")
    units: list[Unit] = []
    for unit in source.units:
        units.append(unit)
        if unit.track == AUDIO and unit.dts // german.timescale not in hole:
            units.append(replace(unit, track=GERMAN))
    return replace(source, formats=(*source.formats, german), units=tuple(units))


async def packaged(source: Coded) -> tuple[OnAir, dict[str, Playlist]]:
    async with on_air(target_duration_s=1) as (programme, _):
        await programme.publish(marked(source, target_duration_s=1)[:-1])
        async with asyncio.timeout(5):
            replies = {track: await respond(programme.live, f"{track}.m3u8") for track in ALL}
    return programme, {track: parse(reply.body.decode()) for track, reply in replies.items()}


async def test_segments_and_parts_of_all_sounds_cover_the_same_time() -> None:
    programme, found = await packaged(bilingual(range(0)))
    for one, other in zip(found[AUDIO].segments, found[GERMAN].segments, strict=True):
        assert (one.msn, one.date, one.duration) == (other.msn, other.date, other.duration)
        assert [part.duration for part in one.parts] == [part.duration for part in other.parts]
    for msn in range(8):
        first = read_fragments(programme.recorder.media(AUDIO, msn))
        assert read_fragments(programme.recorder.media(GERMAN, msn)) == first


async def test_a_sound_that_stops_for_a_while_has_gaps_and_no_other_has() -> None:
    _, found = await packaged(bilingual(range(2, 6)))
    whole = (await packaged(bilingual(range(0))))[1]
    gaps = [segment.gap for segment in found[GERMAN].segments]
    assert gaps[:7] == [False, False, True, True, True, True, False]
    for track in TRACKS:
        assert found[track].segments == whole[track].segments
    dates = {track: [segment.date for segment in found[track].segments[:7]] for track in ALL}
    for mine, other in zip(dates[GERMAN], dates[VIDEO], strict=True):
        assert mine is not None
        assert other is not None
        assert 0 <= (mine - other).total_seconds() < 0.03
