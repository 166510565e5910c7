"""A ladder with its real child: a coded source in, renditions on the bus that a player can use."""

import asyncio
import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import av
import pytest

from hotpath.bus.stream import Cursor, ProgramStream
from hotpath.encode import ladder as ladder_module
from hotpath.encode.job import EncodeSettings
from hotpath.encode.ladder import Ladder
from hotpath.encode.ladder_marks import Patience
from hotpath.encode.shares import SharedCores
from hotpath.hls.events import Event, SegmentReady
from hotpath.hls.segmenter import Segmenter
from hotpath.media.unit import (
    VIDEO,
    Format,
    FormatChange,
    Item,
    PartCut,
    ProgramEnd,
    Sample,
    SegmentCut,
    Unit,
)
from infra.keys import ProgramKey
from infra.renditions import LadderRung
from tests.support.bridges import until
from tests.support.coded import Coded, coded
from tests.support.ladder import parts, published, segments
from tests.support.programme import EPOCH, SECOND, Harness

pytestmark = pytest.mark.integration

SLACK = 4
"""Pictures that the source's reordering keeps in the decoder."""
RUNGS = (LadderRung("120p", 120, 300_000), LadderRung("90p", 90, 200_000))
NAMES = tuple(rung.name for rung in RUNGS)
PATIENT = EncodeSettings(late_ms=60_000)
"""Tests feed faster than real time."""
PATIENCE = Patience(late_ns=60 * 10**9, start_ns=60 * 10**9)
"""And the machine may be busy."""


@pytest.fixture(autouse=True)
def _the_end_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder_module, "END_S", 60.0)


@dataclass
class Running:
    ladder: Ladder
    stream: ProgramStream
    items: list[Item] = field(default_factory=list)
    """Everything on the bus."""
    warnings: list[str] = field(default_factory=list)

    async def feed(self, items: Sequence[Item]) -> None:
        """As fast as the child takes them."""
        for item in items:
            self.ladder.publish([item])
            if isinstance(item, Sample):
                await until(lambda: self.ladder.waiting < 16)

    def made(self, rung: str) -> list[Unit]:
        return [
            item.unit for item in self.items if isinstance(item, Sample) and item.unit.track == rung
        ]

    def events(self) -> list[Event]:
        return Segmenter().receive(self.items)


@asynccontextmanager
async def running(
    rungs: Sequence[LadderRung] = RUNGS,
    *,
    cores: SharedCores | None = None,
    settings: EncodeSettings = PATIENT,
    **options: object,
) -> AsyncIterator[Running]:
    stream = ProgramStream(ProgramKey("project", "event", "main"), "incarnation")
    warnings: list[str] = []
    ladder = Ladder(
        rungs,
        stream.publish,
        publish_rungs=stream.publish,
        cores=cores or SharedCores(64),
        on_warning=warnings.append,
        settings=settings,
        patience=PATIENCE,
        **options,  # type: ignore[arg-type]
    )
    made = Running(ladder, stream, warnings=warnings)
    tasks = [
        asyncio.create_task(ladder.run()),
        asyncio.create_task(_collect(made, stream.cursor())),
    ]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _collect(made: Running, cursor: Cursor) -> None:
    while items := await cursor.read():
        made.items += items


def source_items(source: Coded) -> list[Item]:
    return published(source.track(VIDEO), sources=[source.format(VIDEO)])


def decoded(format: Format, units: Sequence[Unit]) -> int:
    data = b"".join(unit.data for unit in units)
    with av.open(io.BytesIO(data), "r", format="h264") as container:
        frames = list(container.decode(video=0))
    assert all((frame.width, frame.height) == (format.width, format.height) for frame in frames)
    return len(frames)


@pytest.mark.parametrize("kind", ["h264", "h264-b", "hevc"])
async def test_every_rung_has_the_sources_parts_and_each_segment_decodes_alone(kind: str) -> None:
    source = coded(kind, None, 6, 45)
    items = source_items(source)
    async with running() as made:
        await made.feed(items[:-1])
        count = len(source.track(VIDEO)) - SLACK
        await until(lambda: all(len(made.made(name)) >= count for name in NAMES))
        made.ladder.publish(items[-1:])
        await until(lambda: made.stream.ended)
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    assert made.warnings == []
    events = made.events()
    theirs = parts(events, VIDEO)
    for name in NAMES:
        own = parts(events, name)
        assert own.keys() == theirs.keys()
        assert len(made.made(name)) == len(source.track(VIDEO))
        for place, part in own.items():
            assert abs(part.duration - theirs[place].duration) <= 3000
            assert part.independent == (place[1] == 0)
        for msn in segments(events, name):
            whole = [u for place, part in own.items() if place[0] == msn for u in part.units]
            assert decoded(own[msn, 0].format, whole) == len(whole)
    assert [item for item in made.items if _of_source(item)] == items


def _of_source(item: Item) -> bool:
    match item:
        case Sample(unit=unit):
            return unit.track == VIDEO
        case PartCut(track=track) | SegmentCut(track=track):
            return track == VIDEO
        case FormatChange(format=format):
            return format.track == VIDEO
        case _:
            return True


async def test_ladders_that_begin_at_once_are_given_what_is_left() -> None:
    items, cores = source_items(coded("h264", None, 6, 30)), SharedCores(2.0)
    async with running(cores=cores) as first, running(cores=cores) as second:
        ladders = [first.ladder, second.ladder]
        for ladder in ladders:
            ladder.publish(items[:1])
        await until(lambda: all(0 < ladder.taken < 0.5 for ladder in ladders))
        given = [ladder._child.job.cores for ladder in ladders if ladder._child is not None]
        assert given == [2.0, 2.0 - ladders[0].taken]
        assert cores.taken == ladders[0].taken + ladders[1].taken


async def test_only_the_beginning_of_a_segment_is_an_idr() -> None:
    source = coded("h264", None, 6, 30)
    async with running() as made:
        await made.feed(source_items(source))
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    for name in NAMES:
        keys = [unit.pts for unit in made.made(name) if unit.keyframe]
        assert keys == [unit.pts for unit in source.track(VIDEO) if unit.keyframe][::2]


async def test_another_source_format_is_another_child_and_no_gap() -> None:
    first, second = coded("h264-b", None, 6, 45), coded("hevc", None, 6, 45)
    later = [
        replace(unit, pts=unit.pts + 7 * 90_000, dts=unit.dts + 7 * 90_000)
        for unit in second.track(VIDEO)
    ]
    formats = [first.format(VIDEO), second.format(VIDEO)]
    items = published(first.track(VIDEO), later, sources=formats)
    change = items.index(FormatChange(formats[1], 1))
    async with running() as made:
        await made.feed(items[:change])
        await until(lambda: all(len(made.made(name)) >= 180 - SLACK for name in NAMES))
        before = made.ladder.pid
        await made.feed(items[change:-1])
        await until(lambda: all(len(made.made(name)) >= 360 - SLACK for name in NAMES))
        assert made.ladder.pid not in (before, None)
        made.ladder.publish(items[-1:])
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    events = made.events()
    theirs = parts(events, VIDEO)
    for name in NAMES:
        own = parts(events, name)
        assert own.keys() == theirs.keys()
        assert len(made.made(name)) == 360
        assert all(own[p].discontinuity_seq == theirs[p].discontinuity_seq for p in own)


@pytest.mark.parametrize("kind", ["h264", "h264-b", "hevc"])
async def test_the_slate_passes_like_any_picture(kind: str) -> None:
    source = coded(kind, None, 6, 45)
    programme = Harness(reconnect_window_s=60)
    for publisher, start_s in ((1, 0), (2, 12)):
        programme.now = start_s * SECOND
        programme.connect(publisher, [source.format(VIDEO)])
        at = EPOCH + start_s * SECOND
        sent = [replace(u, ingest_ns=at + u.dts * 100_000 // 9) for u in source.track(VIDEO)]
        programme.send(sent, publisher)
        programme.lose(publisher)
        programme.wait(12 - 6)
    programme.program.stop(programme.now, EPOCH + programme.now)
    count = len(programme.samples())
    assert count > 360 + 50
    async with running() as made:
        await made.feed(programme.items[:-1])
        await until(lambda: all(len(made.made(name)) >= count - SLACK for name in NAMES))
        made.ladder.publish(programme.items[-1:])
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    events = made.events()
    theirs = parts(events, VIDEO)
    for name in NAMES:
        own = parts(events, name)
        assert own.keys() == theirs.keys()
        assert len(made.made(name)) == count
        assert all(own[p].discontinuity_seq == theirs[p].discontinuity_seq for p in own)
        assert all(isinstance(each, SegmentReady) for each in segments(events, name).values())


async def test_a_child_that_is_killed_costs_a_gap_only() -> None:
    source = coded("h264", None, 12, 30)
    items = source_items(source)
    samples = [n for n, item in enumerate(items) if isinstance(item, Sample)]
    half = samples[100]  # between two keyframes
    async with running() as made:
        await made.feed(items[:half])
        await until(lambda: all(len(made.made(name)) > 40 for name in NAMES))
        pid = made.ladder.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: made.ladder.pid not in (pid, None))
        await made.feed(items[half:-1])
        last = source.track(VIDEO)[-1].pts
        await until(lambda: all(made.made(name)[-1].pts == last for name in NAMES))
        made.ladder.publish(items[-1:])
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
        assert made.ladder.restarts == 1
    events = made.events()
    for name in NAMES:
        own = segments(events, name)
        assert sorted(own) == sorted(segments(events, VIDEO))
        kinds = [isinstance(own[msn], SegmentReady) for msn in sorted(own)]
        assert 1 <= kinds.count(False) <= 3
        assert kinds[-1]


async def test_a_rung_taller_than_the_source_is_left_out() -> None:
    source = coded("h264", None, 6, 30)
    rungs = (LadderRung("240p", 240, 400_000), RUNGS[1])
    async with running(rungs) as made:
        await made.feed(source_items(source))
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    assert made.made("240p") == []
    assert len(made.made("90p")) == len(source.track(VIDEO))
    assert made.warnings == []


async def test_a_ladder_that_the_machine_cannot_encode_is_trimmed_in_words() -> None:
    source = coded("h264", None, 6, 30)
    async with running(cores=SharedCores(0.0001)) as made:
        await made.feed(source_items(source)[:60])
        await until(lambda: bool(made.warnings))
        await until(lambda: made.ladder.pid is None)
        assert made.ladder.running == ()
        assert set(made.ladder.trimmed) == set(NAMES)
        await made.feed(source_items(source)[60:])
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    assert "Viewers get the source only." in made.warnings[0]
    assert [item for item in made.items if not _of_source(item)] == []


PRETENDER = """
import sys, time
from hotpath.encode.ladder_records import Admitted, pack
sys.stdin.buffer.read1(1)
for names, words in ((("120p", "90p"), ""), (("90p",), "120p stopped: why.")):
    sys.stdout.buffer.write(pack(Admitted(names, 0.5, words)))
    sys.stdout.flush()
time.sleep(60)
"""


async def test_a_rung_that_ends_while_it_runs_is_told_and_not_begun_again() -> None:
    items = source_items(coded("h264", None, 6, 30))
    async with running(command=(sys.executable, "-c", PRETENDER)) as made:
        made.ladder.publish(items[:60])
        await until(lambda: bool(made.warnings))
        assert made.warnings == ["120p stopped: why."]
        assert made.ladder.running == ("90p",)
        assert made.ladder.trimmed == {"120p": 1}
        assert made.ladder.taken == 0.5
        assert made.ladder.pid is not None
        os.kill(made.ladder.pid, signal.SIGKILL)
        await until(lambda: made.ladder.restarts == 1 and made.ladder.pid is not None)
        assert made.ladder.running == ("90p",)


async def test_a_child_that_always_crashes_leaves_the_source_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hotpath.encode.life.BACKOFF_S", (0.01, 0.02, 0.03))
    items = source_items(coded("h264", None, 6, 30))
    async with running(command=("/bin/false",)) as made:
        made.ladder.publish(items[:60])
        await until(lambda: bool(made.warnings))
        made.ladder.publish(items[60:])
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    assert made.items == items


async def test_the_end_is_held_for_no_longer_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder_module, "END_S", 1.0)
    items = source_items(coded("h264", None, 6, 30))
    hang = ("/bin/sleep", "60")
    async with running(command=hang) as made:
        made.ladder.publish(items[:60])
        made.ladder.publish(items[60:])
        began = time.monotonic()
        await until(lambda: made.stream.ended)
        assert 0.9 < time.monotonic() - began < 15
        await until(lambda: bool(made.items) and isinstance(made.items[-1], ProgramEnd))
    assert made.items == items
