"""The ladder of a feed: rungs that are offered, measured, end and come back, and cost no encode."""

import asyncio

from hotpath.fanout.selection import RUNG_MISSED
from hotpath.media.unit import Codec
from infra.renditions import RUNGS
from tests.support.coded import coded, marked
from tests.support.feeds import Rig, Watcher, names, on_air, settled
from tests.support.rungs import rung_items, with_rungs


async def test_the_ladder_is_offered_below_the_source_the_tallest_first(rig: Rig) -> None:
    watcher, source = Watcher(), coded("h264", "opus", seconds=2)
    rig.feed.watch(watcher)
    assert names(rig) == ["main"]
    on_air(rig).publish(with_rungs(marked(source)[:-1], "360p", "720p"))
    await settled()
    assert names(rig) == ["main", "720p", "360p"]
    assert watcher.told == 2
    newest = source.track("video")[-1].pts
    frames = {one.stream.frames for one in rig.feed.renditions}
    assert all(one.stream.has_keyframe for one in rig.feed.renditions)
    assert {one.stream.newest_timestamp for one in rig.feed.renditions} == {newest}
    assert frames == {len(source.track("video"))}
    assert rig.feed.audio.newest_timestamp == source.track("audio")[-1].pts


async def test_a_rung_is_assumed_to_need_what_it_may_until_it_was_measured(rig: Rig) -> None:
    items = with_rungs(marked(coded("h264", None, seconds=2))[:-1], "360p")
    stream = on_air(rig)
    stream.publish(items[:12])
    await settled()
    rung = rig.feed.renditions[1]
    assert rung.bps == RUNGS["360p"].bitrate
    stream.publish(items[12:])
    await settled()
    assert rung.bps == rig.feed.renditions[0].bps != RUNGS["360p"].bitrate


async def test_a_rung_that_ends_is_offered_no_more(rig: Rig) -> None:
    watcher = Watcher()
    rig.feed.watch(watcher)
    items = marked(coded("h264", None, seconds=10))[:-1]
    stream = on_air(rig)
    half = len(items) // 2
    stream.publish(with_rungs(items[:half], "720p", "360p"))
    await settled()
    ended = rig.feed.renditions[1]
    told = watcher.told
    for item in items[half:]:
        stream.publish([item, *rung_items([item], "360p")])
        await asyncio.sleep(0)
    await settled()
    assert len(items) - half > RUNG_MISSED
    assert names(rig) == ["main", "360p"]
    assert watcher.told == told + 1
    assert ended.stream.closed
    assert not rig.feed.renditions[1].stream.closed


async def test_a_rung_that_comes_back_is_offered_again(rig: Rig) -> None:
    items = marked(coded("h264", None, seconds=10))[:-1]
    stream = on_air(rig)
    stream.publish(with_rungs(items[:40], "720p"))
    stream.publish(items[40:-60])
    await settled()
    assert names(rig) == ["main"]
    stream.publish(with_rungs(items[-60:], "720p"))
    await settled()
    assert names(rig) == ["main", "720p"]
    assert rig.feed.renditions[1].stream.has_keyframe


async def test_the_next_incarnation_goes_on_in_the_rungs_streams(rig: Rig) -> None:
    items = with_rungs(marked(coded("h264", None, seconds=1))[:-1], "720p")
    on_air(rig).publish(items)
    await settled()
    rung = rig.feed.renditions[1]
    frames = rung.stream.frames
    on_air(rig).publish(items)
    await settled()
    assert rig.feed.renditions[1] is rung
    assert rung.stream.frames == 2 * frames


async def test_rungs_cost_no_encode_and_do_not_wait_for_one(rig: Rig) -> None:
    """A source that WebRTC cannot carry has its one shared encode; the ladder is there without."""
    watcher, hevc = Watcher(), marked(coded("hevc", None, seconds=1))[:-1]
    ladder = rung_items(marked(coded("h264", None, seconds=1)), "720p")
    stream = on_air(rig)
    stream.publish([*hevc, *ladder])
    await settled()
    assert names(rig) == ["main", "720p"]
    assert rig.encoders == []
    rig.feed.watch(watcher)
    await settled()
    assert [encoder.target for encoder in rig.encoders] == [Codec.H264]
    assert rig.encoders[0].got == list(coded("hevc", None, seconds=1).units)


async def test_everything_ends_with_the_feed(rig: Rig) -> None:
    on_air(rig).publish(with_rungs(marked(coded("h264", None, seconds=1))[:-1], "720p", "360p"))
    await settled()
    rig.feed.close()
    assert all(rendition.stream.closed for rendition in rig.feed.renditions)
