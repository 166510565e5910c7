"""Facts over a real Valkey: in order, one reader at a time, none lost before its ack."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from infra.errors import BusUnavailable
from infra.events.bus import connect
from infra.events.facts import STREAM, FactType, MediaFact
from infra.events.facts_bus import FactReader, FactWriter
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


def fact(number: int) -> MediaFact:
    return MediaFact(
        id=f"n-1-{number}",
        type=FactType.INGEST_WARNING,
        node="n",
        at_ns=number,
        project="acme",
        event="ev_1",
        detail={"message": f"warning {number}"},
    )


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    made = connect(valkey.url)
    yield made
    await made.aclose()


async def take(reader: FactReader, count: int) -> list[tuple[str, str]]:
    """(entry, fact id) of the next `count` deliveries."""
    taken: list[tuple[str, str]] = []
    async with asyncio.timeout(30):
        while len(taken) < count:
            assert await reader.hold()
            for one in await reader.read(limit=2, block_ms=50):
                taken.append((one.entry, one.fact.id if one.fact else ""))
    return taken


async def test_facts_come_in_order_whoever_was_first(client: Redis, valkey: ValkeyServer) -> None:
    async with FactWriter(valkey.url) as writer:
        await writer.send([fact(1), fact(2)])
        reader = FactReader(client, "a")
        await writer.send([fact(3)])
        assert [one for _, one in await take(reader, 3)] == ["n-1-1", "n-1-2", "n-1-3"]


async def test_the_unacknowledged_come_again_before_anything_new(
    client: Redis, valkey: ValkeyServer
) -> None:
    async with FactWriter(valkey.url) as writer:
        await writer.send([fact(n) for n in range(1, 6)])
        crashed = FactReader(client, "a")
        taken = await take(crashed, 4)
        await crashed.ack([taken[0][0]])
        await crashed.release()
        await writer.send([fact(6)])
    restarted = FactReader(client, "b")
    assert [one for _, one in await take(restarted, 5)] == [f"n-1-{n}" for n in range(2, 7)]


async def test_one_reads_while_the_other_waits_for_the_lease(client: Redis) -> None:
    first, second = FactReader(client, "a", lease_ms=300), FactReader(client, "b")
    assert await first.hold()
    assert await first.hold()
    assert not await second.hold()
    # The first dies without letting go.
    async with asyncio.timeout(30):
        while not await second.hold():
            await asyncio.sleep(0.02)
    assert not await first.hold()
    await first.release()
    assert not await first.hold()
    await second.release()
    assert await first.hold()


async def test_an_entry_without_a_fact_is_delivered_as_such(
    client: Redis, valkey: ValkeyServer
) -> None:
    reader = FactReader(client, "a")
    with valkey.client() as raw:
        raw.xadd(STREAM, {"fact": "{"})
        raw.xadd(STREAM, {"other": "1"})
    async with FactWriter(valkey.url) as writer:
        await writer.send([fact(1)])
    assert [one for _, one in await take(reader, 3)] == ["", "", "n-1-1"]


async def test_pending_entries_that_the_cap_removed_do_not_stop_the_rest(
    client: Redis, valkey: ValkeyServer
) -> None:
    async with FactWriter(valkey.url) as writer:
        await writer.send([fact(1), fact(2)])
        reader = FactReader(client, "a")
        await take(reader, 2)
        with valkey.client() as raw:
            raw.xtrim(STREAM, maxlen=0, approximate=False)
        await writer.send([fact(3)])
        reader.rewind()
        taken = await take(reader, 3)
    assert taken[-1][1] == "n-1-3"
    await reader.ack([entry for entry, _ in taken])
    with valkey.client() as raw:
        assert raw.xpending(STREAM, "control")["pending"] == 0


async def test_a_bus_that_lost_everything_is_read_again_from_its_start(
    client: Redis, valkey: ValkeyServer
) -> None:
    reader = FactReader(client, "a")
    async with FactWriter(valkey.url) as writer:
        await writer.send([fact(1)])
        await take(reader, 1)
        with valkey.client() as raw:
            raw.flushall()
        await writer.send([fact(2)])
        assert [one for _, one in await take(reader, 1)] == ["n-1-2"]


async def test_an_outage_is_one_error(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as valkey:
        writer = FactWriter(valkey.url)
        reader_client = connect(valkey.url)
        reader = FactReader(reader_client, "a")
        await writer.send([fact(1)])
        assert await reader.hold()
        valkey.stop()
        with pytest.raises(BusUnavailable):
            await writer.send([fact(2)])
        with pytest.raises(BusUnavailable):
            await reader.read()
        with pytest.raises(BusUnavailable):
            await reader.hold()
        valkey.start()
        await writer.send([fact(3)])
        await writer.close()
        await reader_client.aclose()
