"""What the database says reaches the bus, whatever breaks in between."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, select, update

from infra.control.publisher import KEEP_CLOSED_MS, DesiredPublisher
from infra.db.control import Event, Project, ProjectSecret
from infra.db.events_state import advance_event
from infra.errors import BusUnavailable
from infra.events.bus import connect
from infra.events.desired import EPOCH, HASH, DesiredEvent, DesiredProject
from infra.events.desired_bus import DesiredBus
from infra.events.desired_reader import DesiredReader
from infra.events.desired_state import DesiredSnapshot
from infra.lifecycle import Actor, Trigger
from tests.integration.infra.control.conftest import NOW_MS, Deployment
from tests.support.databases import migrated_postgres
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """One that keeps its data over a restart."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    with ValkeyServer(folder, persist=True) as server:
        yield server


@pytest.fixture
async def bus(valkey: ValkeyServer) -> AsyncIterator[DesiredBus]:
    client = connect(valkey.url)
    yield DesiredBus(client)
    await client.aclose()


@pytest.fixture
def publisher(bus: DesiredBus, deployment: Deployment) -> DesiredPublisher:
    return DesiredPublisher(bus, deployment.databases, deployment.clock, compare_s=3600)


def owed(deployment: Deployment) -> list[str]:
    with deployment.reading() as session:
        return [
            row
            for table in (Project, Event)
            for row in session.scalars(
                select(table.id).where(table.published_revision != table.revision)
            )
        ]


async def on_bus(bus: DesiredBus) -> dict[str, DesiredEvent]:
    held = await bus.held()
    return {
        field.removeprefix("event:"): DesiredEvent.model_validate_json(raw)
        for field, raw in held.items()
        if field.startswith("event:")
    }


async def create(api: httpx2.AsyncClient, **fields: object) -> str:
    response = await api.post("/v1/events", json={"name": "x", **fields})
    return str(response.json()["id"])


async def test_a_new_bus_gets_everything_with_an_epoch(
    api: httpx2.AsyncClient, bus: DesiredBus, publisher: DesiredPublisher, deployment: Deployment
) -> None:
    renditions = ["720p", "audio-only"]
    event = await create(
        api,
        access="token",
        takeover=True,
        reconnect_window_s=7,
        renditions=renditions,
        dvr_window_s=600,
    )
    unrecorded = await create(api, recording=False)
    await publisher.publish()
    assert owed(deployment) == []
    assert await bus.epoch()
    assert {field for field in await bus.held() if field.startswith("project:")} == {
        "project:default",
        "project:other",
    }
    assert (await on_bus(bus))[event] == DesiredEvent(
        id=event,
        project="default",
        revision=1,
        open=True,
        access="token",
        kid="k1",
        generation=1,
        takeover=True,
        reconnect_window_s=7,
        target_duration_s=2,
        renditions=("720p", "audio-only"),
        dvr_window_s=600,
    )
    assert (await on_bus(bus))[unrecorded].recording is False


class TestOnPostgres:
    @pytest.fixture
    def migrated_url(self, postgres: PostgresServer) -> str:
        return migrated_postgres(postgres)

    async def test_there_may_be_more_projects_than_a_query_takes_parameters(
        self, bus: DesiredBus, publisher: DesiredPublisher, deployment: Deployment
    ) -> None:
        add_projects(deployment, 33_000)
        await publisher.publish()
        assert owed(deployment) == []
        with deployment.session() as session, session.begin():
            session.execute(update(Project).values(revision=Project.revision + 1))
        await publisher.publish()
        assert owed(deployment) == []
        raised = DesiredProject.model_validate_json((await bus.held())["project:many_33000"])
        assert (raised.revision, list(raised.secrets)) == (2, ["k1"])


def add_projects(deployment: Deployment, count: int) -> None:
    """Published once; the last one has a secret."""
    made: dict[str, Any] = {"created_ms": NOW_MS}
    project = made | {"organisation": "others", "name": "x", "revision": 1, "published_revision": 1}
    secret = made | {"kid": "k1", "secret": "c2VjcmV0"}
    names = [f"many_{number}" for number in range(1, count + 1)]
    with deployment.session() as session, session.begin():
        session.execute(insert(Project), [project | {"id": name} for name in names])
        session.add(ProjectSecret(**secret, project=names[-1]))


async def test_changes_follow_and_cost_no_more_than_themselves(
    api: httpx2.AsyncClient,
    bus: DesiredBus,
    publisher: DesiredPublisher,
    deployment: Deployment,
    valkey: ValkeyServer,
) -> None:
    first, second = await create(api), await create(api)
    await publisher.publish()
    with valkey.client() as client:
        client.hset(HASH, f"event:{second}", "untouched until compared")
        await api.post(f"/v1/events/{first}/rotate-key")
        await publisher.publish()
        assert client.hget(HASH, f"event:{second}") == "untouched until compared"
        client.hdel(HASH, f"event:{second}")
    assert (await on_bus(bus))[first].generation == 2
    assert owed(deployment) == []


async def test_an_ended_event_is_closed_for_a_day_and_then_forgotten(
    api: httpx2.AsyncClient, bus: DesiredBus, deployment: Deployment
) -> None:
    publisher = DesiredPublisher(bus, deployment.databases, deployment.clock, compare_s=0)
    event, running = await create(api), await create(api)
    with deployment.session() as session, session.begin():
        advance_event(session, event, Trigger.PROGRAM_LIVE, deployment.now_ms, by=Actor.MEDIA_NODE)
    await publisher.publish()
    await api.post(f"/v1/events/{event}/end")
    await publisher.publish()
    assert not (await on_bus(bus))[event].open
    deployment.now_ms += KEEP_CLOSED_MS + 1
    await publisher.publish()
    assert set(await on_bus(bus)) == {running}


async def test_a_crash_between_bus_and_mark_only_repeats(
    api: httpx2.AsyncClient,
    bus: DesiredBus,
    publisher: DesiredPublisher,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await publisher.publish()
    event = await create(api)

    async def crash(_self: object, _wanted: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(DesiredPublisher, "_mark", crash)
    with pytest.raises(RuntimeError, match="killed"):
        await publisher.publish()
    assert owed(deployment) == [event]
    monkeypatch.undo()
    restarted = DesiredPublisher(bus, deployment.databases, deployment.clock)
    await restarted.publish()
    assert owed(deployment) == []
    assert (await on_bus(bus))[event].revision == 1


async def test_a_change_while_publishing_stays_owed(
    api: httpx2.AsyncClient,
    bus: DesiredBus,
    publisher: DesiredPublisher,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await publisher.publish()
    event = await create(api)
    put = DesiredBus.put

    async def put_and_change(self: DesiredBus, records: object) -> int:
        written = await put(self, records)  # type: ignore[arg-type]
        await api.post(f"/v1/events/{event}/rotate-key")
        return written

    monkeypatch.setattr(DesiredBus, "put", put_and_change)
    await publisher.publish()
    monkeypatch.undo()
    assert owed(deployment) == [event]
    await publisher.publish()
    assert (await on_bus(bus))[event].generation == 2


async def test_a_bus_that_lost_its_last_second_is_repaired_after_its_restart(
    api: httpx2.AsyncClient,
    bus: DesiredBus,
    publisher: DesiredPublisher,
    valkey: ValkeyServer,
) -> None:
    event = await create(api)
    await publisher.publish()
    lost = (await bus.held())[f"event:{event}"]
    await api.post(f"/v1/events/{event}/rotate-key")
    await publisher.publish()
    with valkey.client() as client:
        client.hset(HASH, f"event:{event}", lost)
        client.hset(HASH, "event:ev_ghost", lost)
    valkey.stop()
    with pytest.raises(BusUnavailable):
        await publisher.publish()
    valkey.start()
    await publisher.publish()
    assert {name: one.generation for name, one in (await on_bus(bus)).items()} == {event: 2}


async def test_a_lost_epoch_rewrites_everything(
    api: httpx2.AsyncClient, bus: DesiredBus, publisher: DesiredPublisher, valkey: ValkeyServer
) -> None:
    event = await create(api)
    await publisher.publish()
    before = await bus.epoch()
    with valkey.client() as client:
        client.flushall()
        client.hset(HASH, "event:ev_ghost", "{}")
        assert client.get(EPOCH) is None
    await publisher.publish()
    assert set(await on_bus(bus)) == {event}
    assert await bus.epoch() not in {None, before}


async def test_a_running_publisher_tells_media_through_an_outage(
    api: httpx2.AsyncClient, bus: DesiredBus, deployment: Deployment, valkey: ValkeyServer
) -> None:
    publisher = DesiredPublisher(bus, deployment.databases, deployment.clock, interval_s=3600)
    deployment_ring, seen = publisher.ring, asyncio.Queue[DesiredSnapshot](100)

    async def follow() -> None:
        async with aclosing(DesiredReader(valkey.url).snapshots()) as snapshots:
            async for snapshot in snapshots:
                await seen.put(snapshot)

    async def generation(event: str, wanted: int) -> None:
        async with asyncio.timeout(30):
            while True:
                held = (await seen.get()).events.get(event)
                if held is not None and held.generation == wanted:
                    return

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(publisher.run()), group.create_task(follow())]
        event = await create(api)
        deployment_ring()
        await generation(event, 1)
        async with asyncio.timeout(30):  # media may read before the publisher has its answer
            while publisher.problem is not None:
                await asyncio.sleep(0.02)
        valkey.stop()
        await api.post(f"/v1/events/{event}/rotate-key")
        deployment_ring()
        async with asyncio.timeout(30):
            while publisher.problem is None:
                await asyncio.sleep(0.02)
        valkey.start()
        await generation(event, 2)
        for task in tasks:
            task.cancel()


async def test_what_was_told_is_on_the_bus(
    api: httpx2.AsyncClient, bus: DesiredBus, deployment: Deployment
) -> None:
    publisher = DesiredPublisher(bus, deployment.databases, deployment.clock, interval_s=3600)
    running = asyncio.create_task(publisher.run())
    async with asyncio.timeout(30):
        while publisher.problem is not None:
            await asyncio.sleep(0.02)
        for _ in range(5):
            event = await create(api)
            await publisher.told(within_s=30)
            assert event in await on_bus(bus)
    running.cancel()


async def test_nobody_waits_for_a_bus_that_is_away(
    api: httpx2.AsyncClient, bus: DesiredBus, deployment: Deployment, valkey: ValkeyServer
) -> None:
    publisher = DesiredPublisher(bus, deployment.databases, deployment.clock, interval_s=3600)
    running = asyncio.create_task(publisher.run())
    async with asyncio.timeout(30):
        while publisher.problem is not None:
            await asyncio.sleep(0.02)
        valkey.stop()
        await create(api)
        await publisher.told(within_s=3600)  # by the pass that fails
        while publisher.problem is None:
            await asyncio.sleep(0.02)
        await publisher.told(within_s=3600)  # while it is known
    running.cancel()


async def test_only_what_nodes_must_know_is_waited_for(
    api: httpx2.AsyncClient, deployment: Deployment, publisher: DesiredPublisher
) -> None:
    event = await create(api)
    assert deployment.tellings == 1
    await publisher.publish()
    await api.patch(f"/v1/events/{event}", json={"name": "another"})
    await api.post(f"/v1/events/{event}/tokens", json={})
    await api.get(f"/v1/events/{event}")
    assert deployment.tellings == 1
    await api.post(f"/v1/events/{event}/rotate-key")
    assert deployment.tellings == 2
