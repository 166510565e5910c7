"""One writer that never waits, many cursors."""

import asyncio

import pytest

from hotpath.bus.registry import Registry
from hotpath.bus.stream import ProgramStream
from hotpath.media.unit import (
    AUDIO,
    COMPANION,
    VIDEO,
    Codec,
    CompanionEnd,
    CompanionSample,
    Format,
    FormatChange,
    Item,
    Mark,
    PartCut,
    ProgramEnd,
    Sample,
    Unit,
)
from infra.keys import ProgramKey

KEY = ProgramKey("acme", "ev_1")
H264 = Format(VIDEO, Codec.H264, 90_000, b"sps", "avc1.42c01f", 640, 360)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"asc", "mp4a.40.2", sample_rate=48_000, channels=2)


def sample(number: int, *, keyframe: bool = False, track: str = VIDEO, size: int = 100) -> Sample:
    unit = Unit(track, number * 3000, number * 3000, keyframe, bytes(size), number, number)
    return Sample(unit, Mark(0, 0, 0, keyframe, 0), number)


def stream(**bounds: int) -> ProgramStream:
    made = ProgramStream(KEY, "inc1", **bounds)
    made.publish([FormatChange(H264, 0), FormatChange(AAC, 0)])
    return made


async def test_every_cursor_reads_everything_from_the_keyframe() -> None:
    programme = stream()
    items: list[Item] = [sample(0, keyframe=True), sample(1), PartCut(VIDEO, 0, 0, 6000)]
    programme.publish(items)
    first, second = programme.cursor(), programme.cursor()
    formats = [FormatChange(H264, 0), FormatChange(AAC, 0)]
    assert await first.read() == [*formats, *items]
    assert await second.read() == [*formats, *items]
    assert programme.formats == {VIDEO: H264, AUDIO: AAC}


async def test_a_waiting_cursor_wakes_on_publish() -> None:
    programme = stream()
    cursors = [programme.cursor("live") for _ in range(20)]
    for cursor in cursors:
        assert len(cursor.read_nowait()) == 2
    readers = [asyncio.create_task(cursor.read()) for cursor in cursors]
    await asyncio.sleep(0)
    one = sample(0, keyframe=True)
    programme.publish([one])
    assert await asyncio.gather(*readers) == [[one]] * 20


async def test_a_cursor_waiting_for_a_keyframe_sleeps_through_other_frames() -> None:
    programme = ProgramStream(KEY, "inc1", max_items=3)
    programme.publish([FormatChange(H264, 0), sample(0, keyframe=True)])
    programme.publish([sample(number) for number in range(1, 6)])
    reader = asyncio.create_task(programme.cursor().read())
    await asyncio.sleep(0)
    programme.publish([sample(6)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reader.done()
    key = sample(7, keyframe=True)
    programme.publish([key])
    assert await reader == [FormatChange(H264, 0), key]


async def test_an_audio_frame_is_no_join_point_while_there_is_video() -> None:
    programme = stream()
    key, sound = sample(0, keyframe=True), sample(1, keyframe=True, track=AUDIO)
    programme.publish([key, sound])
    assert key in await programme.cursor().read()


async def test_a_stalled_cursor_neither_delays_the_writer_nor_grows() -> None:
    programme = stream(max_items=50, max_bytes=100_000)
    slow = programme.cursor()
    await slow.read()
    for number in range(1000):
        programme.publish([sample(number, keyframe=number % 20 == 0)])
    assert len(programme.ring) <= 50
    assert programme.ring.bytes <= 100_000
    items = await slow.read()
    assert isinstance(items[0], Sample)
    assert items[0].unit.keyframe
    assert slow.skipped == items[0].unit.ingest_ns


async def test_the_end_reaches_every_cursor_then_reads_are_empty() -> None:
    programme = stream(max_items=4)
    current, behind = programme.cursor(), programme.cursor()
    await current.read()
    await behind.read()
    for number in range(10):
        programme.publish([sample(number)])
        current.read_nowait()
    reader = asyncio.create_task(current.read())
    await asyncio.sleep(0)
    programme.publish([ProgramEnd(final=True)])
    assert await reader == [ProgramEnd(final=True)]
    assert await behind.read() == [ProgramEnd(final=True)]
    assert await current.read() == []
    assert await behind.read() == []
    with pytest.raises(RuntimeError, match="has ended"):
        programme.publish([sample(11)])


async def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    programme = stream()
    cursor = programme.cursor("live")
    cursor.read_nowait()
    reader = asyncio.create_task(cursor.read())
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert programme.waiting == []
    one = sample(0, keyframe=True)
    programme.publish([one])
    assert await cursor.read() == [one]


def test_a_registry_holds_one_open_stream_per_programme() -> None:
    registry = Registry()
    first = ProgramStream(KEY, "inc1")
    registry.open(first)
    assert registry.get(KEY) is first
    with pytest.raises(ValueError, match="inc1"):
        registry.open(ProgramStream(KEY, "inc2"))
    first.publish([ProgramEnd(final=False)])
    second = ProgramStream(KEY, "inc2")
    registry.open(second)
    assert list(registry) == [second]
    registry.close(KEY)
    assert registry.get(KEY) is None
    assert len(registry) == 0


OPUS = Format(COMPANION, Codec.OPUS, 48_000, b"OpusHead", "opus", sample_rate=48_000, channels=2)


def companion(number: int) -> CompanionSample:
    unit = Unit(COMPANION, number * 960, number * 960, True, b"\xfc", number, number)
    return CompanionSample(unit, number, number)


async def test_a_companion_is_no_place_to_join_at() -> None:
    programme = stream()
    programme.publish([sample(0, keyframe=True), FormatChange(OPUS, 0), companion(1), sample(1)])
    programme.publish([companion(2)])
    joined = programme.cursor().read_nowait()
    assert next(item for item in joined if isinstance(item, Sample)) == sample(0, keyframe=True)
    assert [item for item in joined if isinstance(item, CompanionSample)] == [
        companion(1),
        companion(2),
    ]
    assert programme.formats == {VIDEO: H264, AUDIO: AAC, COMPANION: OPUS}


async def test_a_reader_that_comes_later_learns_whether_there_is_a_companion() -> None:
    programme = stream()
    programme.publish([FormatChange(OPUS, 0), companion(0), sample(0, keyframe=True)])
    assert FormatChange(OPUS, 0) in programme.cursor().read_nowait()
    programme.publish([CompanionEnd(), sample(1, keyframe=True)])
    found = programme.cursor().read_nowait()
    assert CompanionEnd() in found
    assert FormatChange(OPUS, 0) not in found
    assert COMPANION not in programme.formats
