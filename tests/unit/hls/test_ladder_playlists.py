"""A ladder beside the source: when it is offered, and that it never holds the source back."""

import asyncio
from dataclasses import replace
from itertools import pairwise

from hotpath.bus.stream import ProgramStream
from hotpath.hls.offers import LADDER_LATE
from hotpath.hls.origin import HlsOrigin
from hotpath.media.unit import AUDIO, VIDEO, FormatChange, Item, PartCut, ProgramEnd, SegmentCut
from infra.renditions import RUNGS
from tests.support.asking import respond
from tests.support.coded import coded, marked
from tests.support.m3u8 import attributes, parse
from tests.support.on_air import KEY, OnAir
from tests.support.rungs import rung_items, with_rungs

INDEX = "index.m3u8"


def programme(*, audio_only: bool = False) -> OnAir:
    live = HlsOrigin().open(
        KEY,
        "k1",
        access="public",
        part_target_ms=215,
        target_duration_s=1,
        audio_only=audio_only,
    )
    on_air = OnAir(HlsOrigin(), ProgramStream(KEY, "k1"), live)
    on_air.packaging = asyncio.ensure_future(on_air.packager.run())
    return on_air


def source(seconds: int = 4) -> list[Item]:
    return marked(coded(seconds=seconds), target_duration_s=1)


def up_to(items: list[Item], msn: int, track: str) -> int:
    """Index behind the end of the track's segment."""
    for index, item in enumerate(items):
        if isinstance(item, SegmentCut) and (item.track, item.msn) == (track, msn):
            return index + 1
    raise AssertionError(f"{track} has no segment {msn}")


async def variants(on_air: OnAir) -> list[str]:
    async with asyncio.timeout(5):
        reply = await respond(on_air.live, INDEX)
    assert reply.status == 200
    return [line for line in reply.body.decode().splitlines() if not line.startswith("#")]


async def needs(on_air: OnAir, uri: str) -> int:
    """BANDWIDTH of a variant, less that of the sound."""
    lines = (await respond(on_air.live, INDEX)).body.decode().splitlines()
    tags = {line: attributes(before) for before, line in pairwise(lines)}
    return int(tags[uri]["BANDWIDTH"]) - int(tags["audio.m3u8"]["BANDWIDTH"])


async def over(on_air: OnAir) -> None:
    if not on_air.stream.ended:
        await on_air.publish([ProgramEnd(final=False)])
    assert on_air.packaging is not None
    await asyncio.wait_for(on_air.packaging, 5)


async def test_all_renditions_are_offered_once_each_has_a_segment() -> None:
    on_air = programme(audio_only=True)
    await on_air.publish(with_rungs(source(), "360p", "720p"))
    listed = await variants(on_air)
    assert listed == ["video.m3u8", "720p.m3u8", "360p.m3u8", "audio.m3u8"]
    await over(on_air)


async def test_segments_and_parts_of_all_renditions_cover_the_same_time() -> None:
    on_air = programme()
    await on_air.publish(with_rungs(source(), "720p"))
    of_source = parse((await respond(on_air.live, "video.m3u8")).body.decode())
    of_rung = parse((await respond(on_air.live, "720p.m3u8")).body.decode())
    for mine, theirs in zip(of_rung.segments, of_source.segments, strict=True):
        assert (mine.msn, mine.discontinuity, mine.date) == (
            theirs.msn, theirs.discontinuity, theirs.date
        )  # fmt: skip
        assert mine.duration == theirs.duration
        assert [p.duration for p in mine.parts] == [p.duration for p in theirs.parts]
    await over(on_air)


async def test_a_rung_that_never_comes_holds_nothing_back() -> None:
    on_air, items = programme(), source()
    # Its format is told, and no picture follows.
    await on_air.publish([*rung_items(items, "720p")[:1], *items[: up_to(items, 1, AUDIO)]])
    assert on_air.live.playable
    assert await variants(on_air) == ["video.m3u8"]
    await over(on_air)


async def test_a_rung_that_comes_late_is_offered_from_its_first_part() -> None:
    """A player that takes it at once waits for its first segment, and is not sent away."""
    on_air, items = programme(audio_only=True), source()
    middle = up_to(items, 1, VIDEO)
    await on_air.publish(items[:middle])
    formats = [item for item in rung_items(items, "720p") if isinstance(item, FormatChange)]
    rest = with_rungs(items[middle:], "720p")
    part = 1 + next(
        n for n, item in enumerate(rest) if isinstance(item, PartCut) and item.track == "720p"
    )
    await on_air.publish([*formats, *rest[: part - 1]])
    assert await variants(on_air) == ["video.m3u8", "audio.m3u8"]
    await on_air.publish(rest[part - 1 : part])
    assert await variants(on_air) == ["video.m3u8", "720p.m3u8", "audio.m3u8"]
    assert await needs(on_air, "720p.m3u8") == RUNGS["720p"].bitrate
    early = asyncio.ensure_future(respond(on_air.live, "720p.m3u8"))
    end = up_to(rest, 2, "720p")
    await on_air.publish(rest[part : end - 1])
    assert not early.done()
    await on_air.publish(rest[end - 1 :])
    found = parse((await early).body.decode())
    assert [segment.msn for segment in found.segments] == [2, 3]
    assert 0 < await needs(on_air, "720p.m3u8") < RUNGS["720p"].bitrate
    await over(on_air)


async def test_a_rung_that_stops_is_offered_no_more() -> None:
    on_air, items = programme(), source(LADDER_LATE + 3)
    middle = up_to(items, 0, AUDIO)
    begun = with_rungs(items[:middle], "720p")
    await on_air.publish(begun)
    assert "720p.m3u8" in await variants(on_air)
    last = up_to(items, LADDER_LATE, VIDEO)
    await on_air.publish(items[middle:last])
    assert "720p.m3u8" in await variants(on_air)
    await on_air.publish(items[last : up_to(items, LADDER_LATE + 1, VIDEO)])
    assert await variants(on_air) == ["video.m3u8"]
    await over(on_air)


async def test_a_rung_that_has_nothing_but_gaps_is_offered_no_more() -> None:
    """Its playlist goes on, so that who plays it is led elsewhere and not left waiting."""
    on_air, items = programme(), source(LADDER_LATE + 3)
    middle = up_to(items, 0, VIDEO)
    await on_air.publish(with_rungs(items[:middle], "720p"))
    for item in items[middle : up_to(items, LADDER_LATE + 1, AUDIO)]:
        await on_air.publish([item])
        if isinstance(item, SegmentCut) and item.track == VIDEO:
            await on_air.publish([replace(item, track="720p", gap=True)])
    assert await variants(on_air) == ["video.m3u8"]
    found = parse((await respond(on_air.live, "720p.m3u8")).body.decode())
    assert [segment.gap for segment in found.segments] == [False] + [True] * (LADDER_LATE + 1)
    await over(on_air)


async def test_every_playlist_reports_on_every_other_that_has_begun() -> None:
    on_air, items = programme(), source()
    formats = [item for item in rung_items(items, "360p") if isinstance(item, FormatChange)]
    part = with_rungs(items[: up_to(items, 2, VIDEO)], "720p")
    await on_air.publish([*formats, *part])
    names = {"video.m3u8", "audio.m3u8", "720p.m3u8"}
    for name in names:
        found = parse((await respond(on_air.live, name)).body.decode())
        reports = [attributes(tag) for tag in found.tags["#EXT-X-RENDITION-REPORT"]]
        assert {report["URI"] for report in reports} == names - {name}
        assert all(int(report["LAST-MSN"]) >= 1 for report in reports)
        assert all(int(report["LAST-PART"]) >= 0 for report in reports)
    await over(on_air)


async def test_only_the_ladder_promises_segments_that_begin_with_a_keyframe() -> None:
    """4.4.2.1; the source's GOP may be longer than its segments."""
    on_air = programme()
    items = marked(coded(seconds=4, gop=90), target_duration_s=1)
    ladder = rung_items(source(), "720p")
    await on_air.publish([*items[:-1], *ladder])
    promised = {}
    for name in ("video.m3u8", "audio.m3u8", "720p.m3u8"):
        found = parse((await respond(on_air.live, name)).body.decode())
        promised[name] = "#EXT-X-INDEPENDENT-SEGMENTS" in found.tags
        begin = [segment.parts[0].independent for segment in found.segments if segment.parts]
        assert all(begin) or not promised[name]
    assert promised == {"video.m3u8": False, "audio.m3u8": False, "720p.m3u8": True}
    await over(on_air)
