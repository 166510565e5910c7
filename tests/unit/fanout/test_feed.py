"""One programme into the kernel's streams: packetized once, on the programme's clock, on demand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hotpath.bus.stream import ProgramStream
from hotpath.fanout.feed import Feed
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.selection import RUNG_MISSED
from hotpath.fanout.transcode import OnOutput
from hotpath.media.unit import (
    COMPANION,
    VIDEO,
    Codec,
    CompanionSample,
    Format,
    FormatChange,
    ProgramEnd,
    Unit,
)
from infra.keys import ProgramKey
from infra.renditions import RUNGS
from tests.support.coded import EPOCH_NS, coded, marked
from tests.support.rungs import rung_items, with_rungs

KEY = ProgramKey("acme", "ev_1")


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel(shards=1) as kernel:
        yield kernel


@dataclass(eq=False)
class Watcher:
    ready: int = 0
    told: int = 0

    def video_ready(self) -> None:
        self.ready += 1

    def renditions_changed(self) -> None:
        self.told += 1


@dataclass
class Encoder:
    target: Codec
    on_output: OnOutput
    got: list[Unit] = field(default_factory=list)
    closed: bool = False

    def send(self, units: Sequence[Unit]) -> None:
        self.got += units

    def close(self) -> None:
        self.closed = True


@dataclass
class Rig:
    feed: Feed
    encoders: list[Encoder]
    asked: list[None]
    tasks: list["asyncio.Task[None]"]


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@pytest.fixture
async def rig(kernel: Kernel) -> AsyncIterator[Rig]:
    tasks: list[asyncio.Task[None]] = []
    encoders: list[Encoder] = []
    asked: list[None] = []

    def spawn(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> "asyncio.Task[None]":
        tasks.append(asyncio.ensure_future(work()))
        return tasks[-1]

    def make_bridge(source: Format, target: Codec, on_output: OnOutput) -> Encoder:
        encoders.append(Encoder(target, on_output))
        return encoders[-1]

    feed = Feed(
        KEY,
        kernel,
        make_bridge,
        spawn,
        request_keyframe=lambda: asked.append(None),
        linger_s=0.01,
    )
    yield Rig(feed, encoders, asked, tasks)
    feed.close()
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def on_air(rig: Rig) -> ProgramStream:
    stream = ProgramStream(KEY, "i1")
    rig.feed.follow(stream)
    return stream


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


def names(rig: Rig) -> list[str]:
    return [rendition.name for rendition in rig.feed.renditions]


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
