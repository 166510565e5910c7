"""Ladders share the cores of the machine, and what they did stays in the figures."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hotpath.bus.stream import ProgramStream
from hotpath.encode.ladder import Ladder
from hotpath.media.unit import FormatChange, ProgramEnd
from hotpath.node.ladders import LadderCollector, Ladders
from infra.keys import ProgramKey
from infra.renditions import rungs_of
from tests.support.bridges import until
from tests.support.ladder import SOURCE


@pytest.fixture
async def ladders() -> AsyncIterator[Ladders]:
    made = Ladders(cores=4)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def put(ladders: Ladders, name: str) -> tuple[Ladder, ProgramStream]:
    stream = ProgramStream(ProgramKey("project", name, "main"), "incarnation")
    publish = ladders.put_before(stream, stream.publish, rungs_of(["360p"]), lambda _: None)
    ladder = publish.__self__  # type: ignore[attr-defined]
    assert isinstance(ladder, Ladder)
    return ladder, stream


async def test_ladders_that_begin_at_once_share_the_cores(ladders: Ladders) -> None:
    """None has answered yet: the first has all of it, and is measured before the next begins."""
    made = [put(ladders, name)[0] for name in ("first", "second", "third")]
    for ladder in made:
        ladder._command = (sys.executable, "-c", "import sys; sys.stdin.read()")
        ladder.publish([FormatChange(SOURCE, 0)])
    await until(lambda: made[0].pid is not None)
    assert [ladder.taken for ladder in made] == [4.0, 0.0, 0.0]
    assert [ladder.pid for ladder in made[1:]] == [None, None]
    assert ladders.cores() == 4.0
    share = made[0]._share
    assert share is not None
    share.settle(1.5)
    await until(lambda: made[1].pid is not None)
    assert [ladder.taken for ladder in made] == [1.5, 2.5, 0.0]
    for ladder in made[:2]:
        ladder.publish([ProgramEnd(final=True)])
        ladder._conclude()
    await until(lambda: made[2].pid is not None)
    await until(lambda: made[2].taken == ladders.cores())


async def test_a_ladder_that_ends_before_its_turn_takes_none(ladders: Ladders) -> None:
    first, _ = put(ladders, "first")
    second, _ = put(ladders, "second")
    for ladder in (first, second):
        ladder._command = (sys.executable, "-c", "import sys; sys.stdin.read()")
        ladder.publish([FormatChange(SOURCE, 0)])
    await until(lambda: first.pid is not None)
    second.publish([FormatChange(replace(SOURCE, height=480), 1)])
    second.publish([ProgramEnd(final=True)])
    second._conclude()
    await until(lambda: ladders._running == {first})
    assert ladders.cores() == 4.0


async def test_figures_outlive_their_ladder(ladders: Ladders) -> None:
    ladder, stream = put(ladders, "first")
    ladder.encoded["360p"] += 7
    ladder.delay_ns = 2_000_000_000
    ladder.trimmed["720p"] += 1
    ladder.publish([ProgramEnd(final=True)])
    assert stream.ended
    while ladders._running:
        await asyncio.sleep(0)
    registry = CollectorRegistry()
    registry.register(LadderCollector(ladders))
    text = generate_latest(registry).decode()
    assert 'livepath_ladder_frames_total{rendition="360p"} 7.0' in text
    assert 'livepath_ladder_rungs_trimmed_total{rendition="720p"} 1.0' in text
    assert "livepath_ladder_delay_seconds_sum 2.0" in text
    assert "livepath_ladder_cores 0.0" in text


async def test_ladders_that_do_not_run_make_none() -> None:
    with pytest.raises(RuntimeError, match=r"while Ladders\.run is running"):
        put(Ladders(), "first")
