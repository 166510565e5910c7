"""A task that talks to the bus ends when it is cancelled, wherever the cancellation meets it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from infra.events.bus import connect
from infra.events.desired_bus import DesiredBus
from infra.events.desired_reader import DesiredReader
from infra.events.facts import FactType, MediaFact
from infra.events.facts_bus import FactReader, FactWriter
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
POINTS = 80
"""Moments at which a task is cancelled, spread over its first loops."""


async def write_desired(url: str) -> None:
    client = connect(url)
    try:
        bus = DesiredBus(client)
        while True:
            await bus.server_run()
            await bus.epoch()
    finally:
        await client.aclose()


async def read_desired(url: str) -> None:
    async with aclosing(DesiredReader(url, resync_s=0.01).snapshots()) as snapshots:
        async for _ in snapshots:
            pass


async def write_facts(url: str) -> None:
    fact = MediaFact(id="n-1", type=FactType.PROGRAM_LIVE, node="n", at_ns=1)
    async with FactWriter(url) as writer:
        while True:
            await writer.send([fact])


async def read_facts(url: str) -> None:
    client = connect(url)
    try:
        reader = FactReader(client, "a")
        while True:
            await reader.hold()
            await reader.read(block_ms=2)
    finally:
        await client.aclose()


@pytest.mark.parametrize("work", [write_desired, read_desired, write_facts, read_facts])
async def test_cancellation_is_never_lost(
    valkey: ValkeyServer, work: Callable[[str], Awaitable[None]]
) -> None:
    client = connect(valkey.url)
    await DesiredBus(client).replace_all([], "e1")
    await client.aclose()
    for point in range(POINTS):
        task = asyncio.ensure_future(work(valkey.url))
        await asyncio.sleep(point / 4000)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        assert done, f"the task went on after its cancellation at point {point}"
        assert task.cancelled()
