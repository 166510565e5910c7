"""Ladders share the cores of the machine, and what they did stays in the figures."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hotpath.bus.stream import ProgramStream
from hotpath.encode.ladder import Ladder
from hotpath.media.unit import ProgramEnd
from hotpath.node.ladders import LadderCollector, Ladders
from infra.keys import ProgramKey
from infra.renditions import rungs_of


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


async def test_a_ladder_is_given_what_others_have_left(ladders: Ladders) -> None:
    first, _ = put(ladders, "first")
    first.taken = 1.5
    second, _ = put(ladders, "second")
    assert second._cores() == 2.5
    second.taken = 3
    assert first._cores() == 0.0


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
