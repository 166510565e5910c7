"""Facts change events exactly once and in order, whatever crashes between bus and database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from infra.control import facts
from infra.control.facts import MAX_BYTES, FactConsumer
from infra.db.control import Event, Fact
from infra.errors import BusUnavailable
from infra.events.bus import connect
from infra.events.facts import GROUP, STREAM, FactType, MediaFact
from infra.events.facts_bus import FactReader, FactWriter
from tests.integration.infra.control.conftest import NOW_MS, Deployment
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
T = FactType


def fact(number: int, kind: FactType, event: str, **changes: Any) -> MediaFact:
    fields: dict[str, Any] = {
        "id": f"n1-boot-{number}",
        "type": kind,
        "node": "n1",
        "at_ns": (NOW_MS + number * 1000) * 1_000_000,
        "project": "default",
        "event": event,
    }
    return MediaFact(**(fields | changes))


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    made = connect(valkey.url)
    yield made
    await made.aclose()


@pytest.fixture
async def media(valkey: ValkeyServer) -> AsyncIterator[FactWriter]:
    async with FactWriter(valkey.url) as writer:
        yield writer


@pytest.fixture
async def event(api: httpx2.AsyncClient) -> str:
    return str((await api.post("/v1/events", json={"name": "x"})).json()["id"])


def consumer(client: Redis, deployment: Deployment, owner: str = "a") -> FactConsumer:
    reader = FactReader(client, owner, lease_ms=200)
    return FactConsumer(reader, deployment.databases, deployment.ring, deployment.clock)


async def drain(client: Redis, deployment: Deployment, owner: str = "a") -> None:
    """Apply everything that waits on the bus, as a freshly started control does."""
    one = consumer(client, deployment, owner)
    async with asyncio.timeout(30):
        while await waiting(client):
            await one.step(block_ms=10)


async def steps(one: FactConsumer) -> None:
    while True:
        await one.step(block_ms=10)


async def waiting(client: Redis) -> int:
    groups = await client.xinfo_groups(STREAM)
    if not groups:
        return int(await client.xlen(STREAM))
    return int(groups[0]["pending"]) + int(groups[0]["lag"] or 0)


def stored(deployment: Deployment, event: str) -> Event:
    with deployment.reading() as session:
        return session.get_one(Event, event)


def kept(deployment: Deployment) -> list[str]:
    with deployment.reading() as session:
        return list(session.scalars(select(Fact.id).order_by(Fact.id)))


async def test_an_event_lives_by_what_the_node_reports(
    client: Redis, media: FactWriter, deployment: Deployment, event: str
) -> None:
    steps = [
        (T.PUBLISHER_CONNECTED, "scheduled"),
        (T.PROGRAM_LIVE, "live"),
        (T.PUBLISHER_LOST, "reconnecting"),
        (T.PROGRAM_LIVE, "live"),
        (T.RECORDING_DEGRADED, "live"),
        (T.PROGRAM_ENDED, "ended"),
        (T.PROGRAM_LIVE, "ended"),
    ]
    for number, (kind, state) in enumerate(steps):
        await media.send([fact(number, kind, event)])
        await drain(client, deployment)
        assert stored(deployment, event).state == state
    row = stored(deployment, event)
    assert (row.started_ms, row.ended_ms) == (NOW_MS + 1000, NOW_MS + 5000)
    assert row.recording_degraded
    # Media must learn that publishers may no longer connect.
    assert row.revision > row.published_revision
    await media.send([fact(9, T.RECORDING_RESTORED, event)])
    await drain(client, deployment)
    assert not stored(deployment, event).recording_degraded


async def test_a_fact_sent_twice_counts_once(
    client: Redis, media: FactWriter, deployment: Deployment, event: str
) -> None:
    live, lost = fact(1, T.PROGRAM_LIVE, event), fact(2, T.PUBLISHER_LOST, event)
    await media.send([live, lost, live])
    await drain(client, deployment)
    assert stored(deployment, event).state == "reconnecting"
    assert kept(deployment) == ["n1-boot-1", "n1-boot-2"]


async def test_a_crash_between_commit_and_acknowledgement_applies_nothing_twice(
    client: Redis,
    media: FactWriter,
    deployment: Deployment,
    event: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def crash(_self: FactReader, _entries: object) -> None:
        raise BusUnavailable("the connection broke")

    await media.send([fact(1, T.PROGRAM_LIVE, event)])
    first = consumer(client, deployment)
    monkeypatch.setattr(FactReader, "ack", crash)
    with pytest.raises(BusUnavailable):
        await steps(first)
    monkeypatch.undo()
    assert stored(deployment, event).state == "live"
    assert await waiting(client) == 1

    await media.send([fact(2, T.PUBLISHER_LOST, event)])
    await drain(client, deployment, owner="restarted")
    # Applied again, the first fact would have made it live once more.
    assert stored(deployment, event).state == "reconnecting"
    assert kept(deployment) == ["n1-boot-1", "n1-boot-2"]


async def test_a_crash_before_the_commit_loses_nothing(
    client: Redis,
    media: FactWriter,
    deployment: Deployment,
    event: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await media.send([fact(1, T.PROGRAM_LIVE, event), fact(2, T.PUBLISHER_LOST, event)])

    async def crash(_self: FactConsumer, _delivery: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(FactConsumer, "_apply", crash)
    killed = consumer(client, deployment)
    with pytest.raises(RuntimeError, match="killed"):
        await steps(killed)
    monkeypatch.undo()
    assert kept(deployment) == []
    await drain(client, deployment, owner="restarted")
    assert stored(deployment, event).state == "reconnecting"


async def test_what_cannot_be_applied_does_not_stop_the_rest(
    client: Redis, media: FactWriter, deployment: Deployment, event: str
) -> None:
    with_nul = {"message": "a\x00b"}
    not_a_number = fact(10, T.INGEST_WARNING, event).model_dump_json()
    not_a_number = not_a_number.replace('"detail":{}', '"detail":{"rtt":NaN}')
    assert "NaN" in not_a_number
    for entry in (
        {"fact": not_a_number},
        {"fact": "{"},
        {"fact": "[" * 10_000},
        {"x": "y"},
        {"fact": '{"id":1}'},
    ):
        await client.xadd(STREAM, dict(entry))
    await media.send(
        [
            fact(1, T.INGEST_WARNING, event, detail=with_nul),
            fact(2, T.INGEST_WARNING, event, at_ns=2**80),
            fact(3, T.INGEST_WARNING, event, at_ns=-1),
            fact(4, T.INGEST_WARNING, event, id="x" * 300),
            fact(5, T.INGEST_WARNING, event, detail={"message": "x" * MAX_BYTES}),
            fact(11, T.INGEST_WARNING, "ev\x00"),
            fact(6, T.PROGRAM_ENDED, event),  # scheduled events do not end
            fact(7, T.PROGRAM_LIVE, "ev_unknown"),
            fact(8, T.PROGRAM_LIVE, event, project="other"),
            fact(9, T.PROGRAM_LIVE, event),
        ]
    )
    await drain(client, deployment)
    assert stored(deployment, event).state == "live"
    assert stored(deployment, event).started_ms == NOW_MS + 9000
    assert {"n1-boot-6", "n1-boot-7", "n1-boot-8", "n1-boot-9"} <= set(kept(deployment))
    assert not {f"n1-boot-{n}" for n in (1, 2, 3, 5, 10)} & set(kept(deployment))


async def test_another_projects_fact_shows_up_nowhere(
    client: Redis, media: FactWriter, deployment: Deployment, event: str, api: httpx2.AsyncClient
) -> None:
    refused = {"reason": "bad-key"}
    await media.send(
        [
            fact(1, T.PUBLISHER_REFUSED, event, project="other", detail=refused),
            fact(2, T.PUBLISHER_REFUSED, event, detail=refused),
        ]
    )
    await drain(client, deployment)
    recent = (await api.get(f"/v1/events/{event}")).json()["ingest"]["recent"]
    assert [one["at"] for one in recent] == ["2030-03-17T17:46:42.000Z"]


async def test_who_is_connected_is_shown_while_publishers_may_connect(
    client: Redis, media: FactWriter, deployment: Deployment, event: str, api: httpx2.AsyncClient
) -> None:
    async def shown() -> tuple[bool, bool, str | None]:
        ingest = (await api.get(f"/v1/events/{event}")).json()["ingest"]
        places = ingest["primary"]["connected"], ingest["backup"]["connected"]
        return (*places, ingest["active"])

    async def report(number: int, **detail: Any) -> tuple[bool, bool, str | None]:
        await media.send([fact(number, T.PUBLISHERS_PRESENT, event, detail=detail)])
        await drain(client, deployment)
        return await shown()

    assert await shown() == (False, False, None)
    both = {"primary": True, "backup": True}
    assert await report(1, **both, active="primary") == (True, True, "primary")
    assert await report(2, primary=False, backup=True, active="backup") == (False, True, "backup")
    assert await report(3, primary="yes", active="third") == (False, False, None)
    assert await report(4, **both, active="primary") == (True, True, "primary")
    assert stored(deployment, event).state == "scheduled"
    await media.send([fact(5, T.PROGRAM_LIVE, event), fact(6, T.PROGRAM_ENDED, event)])
    await drain(client, deployment)
    assert await shown() == (False, False, None)


async def test_a_running_consumer_replays_after_outages_of_the_bus(
    tmp_path: Any, deployment: Deployment, event: str
) -> None:
    folder = tmp_path / "bus"
    folder.mkdir()
    with ValkeyServer(folder, persist=True) as valkey:
        client = connect(valkey.url)
        one = consumer(client, deployment)

        async def state(wanted: str) -> None:
            async with asyncio.timeout(30):
                while stored(deployment, event).state != wanted:
                    await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group, FactWriter(valkey.url) as media:
            task = group.create_task(one.run())
            await media.send([fact(1, T.PROGRAM_LIVE, event)])
            await state("live")
            valkey.stop()
            async with asyncio.timeout(30):
                while one.problem is None:
                    await asyncio.sleep(0.02)
            valkey.start()
            await media.send([fact(2, T.PUBLISHER_LOST, event)])
            await state("reconnecting")
            # The bus is told after the database has it.
            with valkey.client() as raw:
                async with asyncio.timeout(30):
                    while raw.xpending(STREAM, GROUP)["pending"]:
                        await asyncio.sleep(0.02)
            task.cancel()
        # The lease was given back, so a successor starts at once.
        with valkey.client() as raw:
            assert raw.keys("livepath:facts:reader") == []
        await client.aclose()


async def test_old_facts_are_deleted(
    client: Redis, media: FactWriter, deployment: Deployment, event: str
) -> None:
    await media.send([fact(1, T.INGEST_WARNING, event)])
    await drain(client, deployment)
    assert kept(deployment) == ["n1-boot-1"]
    deployment.now_ms += 15 * 24 * 3600 * 1000
    await consumer(client, deployment).step(block_ms=1)
    assert kept(deployment) == []


async def test_many_old_facts_are_deleted_some_at_a_time(
    client: Redis, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "TIDIED", 2)
    with deployment.session() as session, session.begin():
        for number in range(5):
            old = {"project": "default", "event": "ev_1", "type": "x", "detail": {}}
            session.add(Fact(id=f"old-{number}", at_ms=number, **old))
    one = consumer(client, deployment)
    left = []
    for _ in range(3):
        await one.step(block_ms=1)
        left.append(kept(deployment))
    # The oldest first.
    assert left == [["old-2", "old-3", "old-4"], ["old-4"], []]


def of_node(node: str, number: int, kind: FactType, event: str, **changes: Any) -> MediaFact:
    return fact(number, kind, event, id=f"{node}-boot-{number}", node=node, **changes)


async def test_a_node_that_an_event_has_left_does_not_end_it(
    client: Redis, media: FactWriter, deployment: Deployment, event: str
) -> None:
    there = {"primary": True, "backup": False, "active": "primary"}
    nobody = {"primary": False, "backup": False, "active": None}
    for number, (node, kind, detail, state) in enumerate(
        [
            ("media-a", T.PROGRAM_LIVE, {}, "live"),
            ("media-b", T.PROGRAM_LIVE, {}, "live"),
            ("media-b", T.PUBLISHERS_PRESENT, there, "live"),
            ("media-a", T.PUBLISHER_LOST, {}, "live"),
            ("media-a", T.PUBLISHERS_PRESENT, nobody, "live"),
            ("media-a", T.PROGRAM_ENDED, {}, "live"),
            ("media-b", T.PUBLISHER_LOST, {}, "reconnecting"),
            ("media-a", T.PROGRAM_LIVE, {}, "live"),
            ("media-b", T.PROGRAM_ENDED, {}, "live"),
            ("media-a", T.PROGRAM_ENDED, {}, "ended"),
        ]
    ):
        await media.send([of_node(node, number, kind, event, detail=detail)])
        await drain(client, deployment)
        row = stored(deployment, event)
        assert (number, row.state) == (number, state)
        if number >= 2:
            assert row.primary_connected


async def test_a_node_under_another_name_ends_what_it_was_left(
    client: Redis, media: FactWriter, deployment: Deployment, event: str
) -> None:
    await media.send([of_node("before", 1, T.PROGRAM_LIVE, event)])
    await media.send([of_node("after", 2, T.PROGRAM_ENDED, event)])
    await drain(client, deployment)
    assert stored(deployment, event).state == "ended"
