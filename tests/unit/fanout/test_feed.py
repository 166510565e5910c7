"""One programme into the kernel's streams: packetized once, on the programme's clock, on demand."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hotpath.media.unit import COMPANION, VIDEO, CompanionSample, FormatChange, ProgramEnd
from tests.support.coded import EPOCH_NS, coded, marked
from tests.support.feeds import Rig, Watcher, on_air, settled


async def test_h264_and_opus_reach_the_kernel_on_the_programmes_clock(rig: Rig) -> None:
    source = coded("h264", "opus", seconds=2)
    on_air(rig).publish(marked(source))
    await settled()
    video, audio = rig.feed.renditions[0].stream, rig.feed.audio
    assert video.has_keyframe
    assert video.newest_timestamp == source.track("video")[-1].pts
    assert audio.newest_timestamp == source.track("audio")[-1].pts
    assert rig.feed.ended is True
    assert rig.encoders == []


async def test_the_profile_for_the_answer_is_the_sources(rig: Rig) -> None:
    assert rig.feed.profile_level_id is None
    source = coded("h264", None, seconds=1)
    on_air(rig).publish(marked(source))
    await settled()
    sps = source.format("video").config.split(b"\0\0\0\1")[1]
    assert rig.feed.profile_level_id == sps[1:4].hex()


async def test_the_rate_of_a_rendition_is_measured(rig: Rig) -> None:
    source = coded("h264", None, seconds=2)
    on_air(rig).publish(marked(source))
    await settled()
    size = sum(len(unit.data) for unit in source.units)
    assert rig.feed.renditions[0].bps == pytest.approx(size * 8 / 2, rel=0.1)


async def test_who_watches_is_told_once_when_there_is_video(rig: Rig) -> None:
    watcher, stream = Watcher(), on_air(rig)
    rig.feed.watch(watcher)
    await settled()
    assert watcher.ready == 0
    items = marked(coded("h264", None, seconds=1))
    stream.publish(items[:10])
    await settled()
    assert watcher.ready == 1
    stream.publish(items[10:])
    await settled()
    assert watcher.ready == 1
    late = Watcher()
    rig.feed.watch(late)
    assert late.ready == 1


async def test_nothing_is_encoded_for_nobody(rig: Rig) -> None:
    stream = on_air(rig)
    stream.publish(marked(coded("hevc", "aac", seconds=1))[:-1])
    await settled()
    assert rig.encoders == []
    watcher = Watcher()
    rig.feed.watch(watcher)
    await settled()
    assert rig.feed.encodes == 2
    rig.feed.unwatch(watcher)
    assert rig.feed.encodes == 2
    async with asyncio.timeout(5):
        while rig.feed.encodes:
            await asyncio.sleep(0.005)
    await settled()
    assert all(encoder.closed for encoder in rig.encoders)


async def test_a_reload_keeps_the_encode(rig: Rig) -> None:
    on_air(rig).publish(marked(coded("hevc", None, seconds=1))[:-1])
    watcher, again = Watcher(), Watcher()
    rig.feed.watch(watcher)
    await settled()
    rig.feed.unwatch(watcher)
    rig.feed.watch(again)
    await asyncio.sleep(0.05)
    assert rig.feed.encodes == 1
    assert len(rig.encoders) == 1


async def test_encoded_video_is_shown_when_it_has_caught_up(rig: Rig) -> None:
    made = coded("h264", None, seconds=1)
    on_air(rig).publish(marked(coded("hevc", None, seconds=1))[:-1])
    watcher = Watcher()
    rig.feed.watch(watcher)
    await settled()
    (encoder,) = rig.encoders
    units = made.track("video")
    encoder.on_output(made.format("video"), units[:10])
    assert watcher.ready == 0
    encoder.on_output(made.format("video"), units[10:])
    assert watcher.ready == 1
    assert rig.feed.renditions[0].stream.newest_timestamp == units[-1].pts


async def test_what_an_encode_had_on_its_way_when_it_ended_is_not_sent(rig: Rig) -> None:
    made = coded("h264", None, seconds=1)
    on_air(rig).publish(marked(coded("hevc", None, seconds=1))[:-1])
    rig.feed.watch(Watcher())
    await settled()
    (encoder,) = rig.encoders
    stream = rig.feed.renditions[0].stream
    rig.feed.close()
    await settled()
    encoder.on_output(made.format("video"), made.track("video")[:1])
    assert stream.frames == 0


async def test_the_companion_is_heard_instead_of_an_encode(rig: Rig) -> None:
    source, opus = coded("h264", "aac", seconds=1), coded(None, "opus", seconds=1)
    stream = on_air(rig)
    rig.feed.watch(Watcher())
    format = replace(opus.format("audio"), track=COMPANION)
    stream.publish([FormatChange(format, 0), *marked(source)[:-1]])
    for unit in opus.track("audio"):
        stream.publish([CompanionSample(replace(unit, track=COMPANION), EPOCH_NS + unit.pts, 1)])
    await settled()
    assert rig.encoders == []
    assert rig.feed.audio.newest_timestamp == opus.track("audio")[-1].pts


async def test_the_next_incarnation_goes_on_in_the_same_streams(rig: Rig) -> None:
    source = coded("h264", None, seconds=1)
    first = on_air(rig)
    first.publish(marked(source)[:-1])
    await settled()
    stream = rig.feed.renditions[0].stream
    frames = stream.frames
    first.publish([ProgramEnd(final=False)])
    await settled()
    assert rig.feed.ended is False
    on_air(rig).publish(marked(source)[:-1])
    await settled()
    assert rig.feed.ended is None
    assert rig.feed.renditions[0].stream is stream
    assert stream.newest_timestamp == source.units[-1].pts
    assert frames > 0


async def test_a_keyframe_is_asked_for_once_a_second_at_most(rig: Rig) -> None:
    for _ in range(10):
        rig.feed.request_keyframe()
    assert len(rig.asked) == 1


async def test_units_that_break_the_packetizer_cost_only_themselves(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotpath.fanout.feed.RETRY_S", 0.001)
    source = coded("h264", None, seconds=2)
    items = marked(source)
    stream = on_air(rig)
    video = rig.feed.renditions[0].stream
    original = video.push

    def push(frame: Any, **more: Any) -> None:
        if frame.timestamp == 3_000 * 5:
            raise ValueError("a frame that no packet takes")
        original(frame, **more)

    monkeypatch.setattr(video, "push", push)
    for item in items:
        stream.publish([item])
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while video.newest_timestamp != source.track(VIDEO)[-1].pts:
            await asyncio.sleep(0.005)
