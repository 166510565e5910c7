"""Children that crash, hang, are killed or orphaned, and what the media process notices of it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from hotpath.encode import life
from hotpath.encode.bridge import MAX_PICTURE_UNITS, MAX_SOUND_UNITS
from hotpath.encode.job import EncodeError
from hotpath.media.unit import AUDIO, VIDEO, Codec, Unit
from tests.support.bridges import bridged, until
from tests.support.coded import coded

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    """What ran before the test may have children of its own meanwhile (a database's workers)."""
    mine = psutil.Process()
    before = set(mine.children())
    yield
    started = [child for child in mine.children() if child not in before]
    assert [each for child in started for each in (child, *child.children(recursive=True))] == []


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "BACKOFF_S", (0.01, 0.02, 0.03))


def later(units: list[Unit], ticks: int) -> list[Unit]:
    return [replace(unit, pts=unit.pts + ticks, dts=unit.dts + ticks) for unit in units]


@pytest.mark.usefixtures("_impatient")
async def test_sound_goes_on_after_its_child_was_killed() -> None:
    source = coded(None, "aac")
    units = source.track(AUDIO)
    async with bridged(source.format(AUDIO), Codec.OPUS) as made:
        await made.feed(units[:100])
        await made.outputs(90)
        pid = made.bridge.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: made.bridge.pid not in (pid, None))
        known = len(made.units)
        await made.feed(units[100:])
        await made.outputs(known + 100)
        assert made.bridge.restarts == 1
        assert made.failed == []
    # Its first frame after the crash stands where the sound that made it does.
    first = made.units[known]
    assert first.pts == pytest.approx(units[100].pts, abs=2048)
    assert len(made.formats) == 1


@pytest.mark.usefixtures("_impatient")
async def test_pictures_go_on_from_a_keyframe_after_their_child_was_killed() -> None:
    source = coded("h264-b", None, 6, 45)
    units = source.track(VIDEO)
    async with bridged(source.format(VIDEO), Codec.H264, clock_out=90_000) as made:
        await made.feed(units[:60])
        await made.outputs(50)
        pid = made.bridge.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: made.bridge.pid not in (pid, None))
        known = len(made.units)
        await made.feed(units[60:])
        await made.outputs(known + 80)
    first = made.units[known]
    assert first.keyframe
    assert first.pts == units[90].pts
    assert made.bridge.counts["queue-full"] + made.bridge.counts["before-keyframe"] == 30


@pytest.mark.usefixtures("_impatient")
async def test_a_child_that_always_crashes_is_given_up_in_words() -> None:
    source = coded(None, "aac")
    async with bridged(
        source.format(AUDIO), Codec.OPUS, command=(sys.executable, "-c", "raise SystemExit(3)")
    ) as made:
        await until(lambda: bool(made.failed))
        assert made.bridge.restarts == 3
        assert made.failed == [
            "The AAC of this stream could not be converted to OPUS: the converter stopped 4 times."
        ]
        with pytest.raises(EncodeError, match="make another"):
            made.bridge.send(source.track(AUDIO)[:1])


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("says", ["b'U' + b'\\xff' * 99", "b'J\\0\\0\\0\\2{}'", "b'?' * 500"])
async def test_a_child_that_says_something_else_costs_the_parent_nothing(says: str) -> None:
    talk = f"import sys, time; sys.stdout.buffer.write({says}); sys.stdout.flush(); time.sleep(60)"
    async with bridged(
        coded(None, "aac").format(AUDIO), Codec.OPUS, command=(sys.executable, "-c", talk)
    ) as made:
        await until(lambda: bool(made.failed))
        assert made.units == []


@pytest.mark.usefixtures("_impatient")
async def test_a_command_that_cannot_start_is_a_failure_like_any_other() -> None:
    async with bridged(
        coded(None, "aac").format(AUDIO), Codec.OPUS, command=("/nowhere/encoder",)
    ) as made:
        await until(lambda: bool(made.failed))


@pytest.mark.parametrize("kind", ["aac", "h264-b"])
async def test_a_child_that_hangs_fills_a_bounded_queue_and_no_more(kind: str) -> None:
    sound = kind == "aac"
    source = coded(None, "aac") if sound else coded("h264-b", None, 6, 45)
    track, target = (AUDIO, Codec.OPUS) if sound else (VIDEO, Codec.H264)
    units = source.track(track)
    async with bridged(source.format(track), target) as made:
        await made.feed(units[:50])
        await made.outputs(20)
        assert made.bridge.pid is not None
        os.kill(made.bridge.pid, signal.SIGSTOP)
        step = units[-1].dts + source.format(track).frame_duration
        for n in range(1, 40):
            made.bridge.send(later(units, n * step))
            await asyncio.sleep(0)
        assert made.bridge.waiting <= (MAX_SOUND_UNITS if sound else MAX_PICTURE_UNITS)
        assert made.bridge.counts["queue-full"] > 1000
        os.kill(made.bridge.pid, signal.SIGCONT)
        await until(lambda: made.bridge.waiting == 0)
        known = len(made.units)
        await made.feed(later(units, 41 * step))
        await made.outputs(known + 100)
        assert made.bridge.restarts == 0


async def test_after_close_nothing_comes_and_the_child_is_gone() -> None:
    source = coded(None, "aac")
    async with bridged(source.format(AUDIO), Codec.OPUS) as made:
        await made.feed(source.track(AUDIO)[:50])
        await made.outputs(20)
        made.bridge.close()
        known = len(made.units)
        made.bridge.send(source.track(AUDIO)[50:])
        await until(lambda: made.bridge.pid is None)
        assert len(made.units) == known


async def test_closing_a_bridge_that_has_hardly_begun_ends_it() -> None:
    source = coded(None, "aac")
    async with bridged(source.format(AUDIO), Codec.OPUS) as made:
        await asyncio.sleep(0)
        made.bridge.close()


async def test_a_reader_that_raises_costs_only_what_it_raised_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = coded(None, "aac")
    async with bridged(source.format(AUDIO), Codec.OPUS) as made:

        def fail(*_: object) -> None:
            raise ValueError("the reader's bug")

        collect, made.bridge._on_output = made.bridge._on_output, fail
        await made.feed(source.track(AUDIO)[:50])
        await until(lambda: made.bridge.waiting == 0)
        await until(lambda: made.bridge.format is not None)
        made.bridge._on_output = collect
        await made.feed(source.track(AUDIO)[50:])
        await made.outputs(100)
        assert made.bridge.restarts == 0


def test_a_child_does_not_outlive_a_parent_that_was_killed() -> None:
    program = """
import asyncio
from tests.support.bridges import bridged
from tests.support.coded import coded
from hotpath.media.unit import AUDIO, Codec

async def main():
    source = coded(None, "aac")
    async with bridged(source.format(AUDIO), Codec.OPUS) as made:
        await made.feed(source.track(AUDIO)[:50])
        await made.outputs(20)
        print(made.bridge.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        child.wait(10)
    assert not child.is_running()
