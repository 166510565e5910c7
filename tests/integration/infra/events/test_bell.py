"""Rings over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from infra.events.bell import Bell, rings
from infra.events.bus import connect
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration

PATIENCE_S = 10


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    made = connect(valkey.url)
    yield made
    await made.aclose()


async def test_whoever_listens_hears_a_ring(client: Redis, valkey: ValkeyServer) -> None:
    bell = Bell(client)
    async with connect(valkey.url) as listening, asyncio.timeout(PATIENCE_S):
        heard = rings(listening)
        await anext(heard)  # it listens now
        ringing = asyncio.create_task(bell.run())
        bell.ring()
        await anext(heard)
        bell.ring()
        await anext(heard)
        ringing.cancel()
        await heard.aclose()


async def test_a_bus_that_is_away_costs_nothing() -> None:
    async with connect("redis://127.0.0.1:1/0") as client:
        bell = Bell(client)
        ringing = asyncio.create_task(bell.run())
        listening = asyncio.ensure_future(anext(rings(client)))
        bell.ring()
        done, _ = await asyncio.wait([ringing, listening], timeout=0.3)
        assert not done
        for task in (ringing, listening):
            task.cancel()
        await asyncio.wait([ringing, listening])
