"""Following desired state over a real Valkey, through outages, restarts and loss of data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from infra.events.bus import connect
from infra.events.desired import HASH, LOG, DesiredEvent, DesiredProject
from infra.events.desired_bus import DesiredBus, DesiredRecord
from infra.events.desired_reader import DesiredReader
from infra.events.desired_state import DesiredSnapshot
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
PROJECT = DesiredProject(id="acme", secrets={"k1": "AAAA"}, revision=1)


def event(revision: int, event_id: str = "ev_1", *, generation: int = 1) -> DesiredEvent:
    return DesiredEvent(
        id=event_id,
        project="acme",
        revision=revision,
        open=True,
        access="public",
        kid="k1",
        generation=generation,
        takeover=False,
    )


def records(*desired: DesiredProject | DesiredEvent) -> list[DesiredRecord]:
    return [DesiredRecord.of(one) for one in desired]


@pytest.fixture
async def bus(valkey: ValkeyServer) -> AsyncIterator[DesiredBus]:
    client = connect(valkey.url)
    yield DesiredBus(client)
    await client.aclose()


async def following(snapshots: AsyncIterator[DesiredSnapshot]) -> DesiredSnapshot:
    async with asyncio.timeout(30):
        return await anext(snapshots)


async def test_a_full_load_and_then_every_change(bus: DesiredBus, valkey: ValkeyServer) -> None:
    await bus.replace_all(records(PROJECT, event(1)), "e1")
    reader = DesiredReader(valkey.url, resync_s=3600)
    async with aclosing(reader.snapshots()) as snapshots:
        first = await following(snapshots)
        assert (first.epoch, first.projects, first.events) == (
            "e1",
            {"acme": PROJECT},
            {"ev_1": event(1)},
        )
        assert reader.problem is None
        await bus.put(records(event(2, generation=2), event(1, "ev_2")))
        second = await following(snapshots)
        while len(second.events) < 2:
            second = await following(snapshots)
        assert second.events == {"ev_1": event(2, generation=2), "ev_2": event(1, "ev_2")}
        await bus.remove(["event:ev_2"])
        assert (await following(snapshots)).events == {"ev_1": event(2, generation=2)}


async def test_an_empty_bus_takes_nothing_away(bus: DesiredBus, valkey: ValkeyServer) -> None:
    held = DesiredSnapshot().replaced("e0", {"event:ev_1": event(9).model_dump_json()})
    reader = DesiredReader(valkey.url, held=held)
    async with aclosing(reader.snapshots()) as snapshots:
        waiting = asyncio.ensure_future(anext(snapshots))
        async with asyncio.timeout(30):
            while "not published" not in str(reader.problem):
                await asyncio.sleep(0.02)
        assert not waiting.done()
        await bus.replace_all(records(PROJECT, event(1)), "e1")
        async with asyncio.timeout(30):
            assert (await waiting).events == {"ev_1": event(1)}


async def test_a_lost_bus_comes_back_and_is_followed_again(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path, persist=True) as valkey:
        client = connect(valkey.url)
        bus = DesiredBus(client)
        await bus.replace_all(records(PROJECT, event(1)), "e1")
        reader = DesiredReader(valkey.url, resync_s=3600)
        async with aclosing(reader.snapshots()) as snapshots:
            await following(snapshots)
            waiting = asyncio.ensure_future(anext(snapshots))
            valkey.stop()
            async with asyncio.timeout(30):
                while reader.problem is None:
                    await asyncio.sleep(0.02)
            assert not waiting.done()
            valkey.start()
            await bus.put(records(event(2)))
            async with asyncio.timeout(30):
                assert (await waiting).events == {"ev_1": event(2)}
            assert reader.problem is None
        await client.aclose()


async def test_a_bus_that_lost_its_data_is_taken_as_it_is_refilled(
    bus: DesiredBus, valkey: ValkeyServer
) -> None:
    await bus.replace_all(records(PROJECT, event(7)), "e1")
    async with aclosing(DesiredReader(valkey.url, resync_s=3600).snapshots()) as snapshots:
        await following(snapshots)
        with valkey.client() as client:
            client.flushall()
        assert await bus.epoch() is None
        await bus.replace_all(records(PROJECT, event(3)), "e2")
        assert (await following(snapshots)).events == {"ev_1": event(3)}


async def test_the_periodic_load_finds_what_the_log_lost(
    bus: DesiredBus, valkey: ValkeyServer
) -> None:
    await bus.replace_all(records(PROJECT, event(1)), "e1")
    async with aclosing(DesiredReader(valkey.url, resync_s=0.2).snapshots()) as snapshots:
        await following(snapshots)
        with valkey.client() as client:
            client.hset(HASH, "event:ev_1", event(2).model_dump_json())
        assert (await following(snapshots)).events == {"ev_1": event(2)}


async def test_an_unreadable_record_harms_only_itself(
    bus: DesiredBus, valkey: ValkeyServer
) -> None:
    await bus.replace_all(records(PROJECT, event(1)), "e1")
    async with aclosing(DesiredReader(valkey.url, resync_s=3600).snapshots()) as snapshots:
        await following(snapshots)
        with valkey.client() as client, client.pipeline() as pipe:
            pipe.hset(HASH, mapping={"event:ev_1": "{", "event:ev_3": "\x00"})
            pipe.xadd(LOG, {"field": "event:ev_1"})
            pipe.xadd(LOG, {"nonsense": "1"})
            pipe.execute()
        await bus.put(records(event(1, "ev_2")))
        assert (await following(snapshots)).events == {"ev_1": event(1), "ev_2": event(1, "ev_2")}


async def test_a_late_writer_does_not_put_an_older_revision_back(
    bus: DesiredBus, valkey: ValkeyServer
) -> None:
    await bus.replace_all(records(PROJECT, event(5)), "e1")
    assert await bus.put(records(event(4))) == 0
    assert await bus.put(records(event(5))) == 0
    assert (await bus.held())["event:ev_1"] == event(5).model_dump_json()
    with valkey.client() as client:
        client.hset(HASH, "event:ev_1", "unreadable")
    assert await bus.put(records(event(5))) == 1


async def test_the_log_is_capped(bus: DesiredBus, valkey: ValkeyServer) -> None:
    await bus.replace_all([], "e1")
    for start in range(0, 12_000, 1_000):
        await bus.put(records(*(event(1, f"ev_{start + n}") for n in range(1_000))))
    with valkey.client() as client:
        assert client.xlen(LOG) < 11_000
