"""Markers reach the bus with their event: the newest of each, complete, and again after a loss."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from infra.control import publisher as publishing
from infra.control.publisher import DesiredPublisher
from infra.events.bus import connect
from infra.events.desired import HASH, DesiredEvent, DesiredMarker
from infra.events.desired_bus import DesiredBus
from tests.integration.infra.control.conftest import NOW_MS, Deployment
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


@pytest.fixture
async def bus(valkey: ValkeyServer) -> AsyncIterator[DesiredBus]:
    client = connect(valkey.url)
    yield DesiredBus(client)
    await client.aclose()


@pytest.fixture
def publisher(bus: DesiredBus, deployment: Deployment) -> DesiredPublisher:
    return DesiredPublisher(bus, deployment.databases, deployment.clock, compare_s=3600)


async def create(api: httpx2.AsyncClient) -> str:
    return str((await api.post("/v1/events", json={"name": "x"})).json()["id"])


async def mark(api: httpx2.AsyncClient, event: str, **fields: object) -> str:
    response = await api.post(f"/v1/events/{event}/markers", json={"kind": "poll", **fields})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def on_bus(bus: DesiredBus, event: str) -> DesiredEvent:
    return DesiredEvent.model_validate_json((await bus.held())[f"event:{event}"])


async def test_a_marker_and_its_end_follow_at_once(
    api: httpx2.AsyncClient, bus: DesiredBus, publisher: DesiredPublisher, deployment: Deployment
) -> None:
    event, other = await create(api), await create(api)
    await publisher.publish()
    data = {"options": 3, "share": 0.5, "name": "x"}
    marker = await mark(api, event, title="Who?", data=data)
    await publisher.publish()
    sent = DesiredMarker(id=marker, kind="poll", title="Who?", start_ms=NOW_MS, data=data)
    assert (await on_bus(bus, event)).markers == (sent,)
    assert (await on_bus(bus, other)).markers == ()
    deployment.now_ms += 1500
    await api.patch(f"/v1/events/{event}/markers/{marker}", json={"end": "now"})
    await publisher.publish()
    ended = sent.model_copy(update={"end_ms": NOW_MS + 1500})
    assert (await on_bus(bus, event)).markers == (ended,)


async def test_the_newest_of_each_event_travel_in_order(
    api: httpx2.AsyncClient,
    bus: DesiredBus,
    publisher: DesiredPublisher,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "MARKERS_SENT", 3)
    monkeypatch.setattr(publishing, "_PER_QUERY", 1)
    first, second = await create(api), await create(api)
    made: dict[str, list[str]] = {first: [], second: []}
    for _ in range(5):
        for event, markers in made.items():
            deployment.now_ms += 1
            markers.append(await mark(api, event, start="2030-01-01T00:00:00Z"))
    await publisher.publish()
    for event, markers in made.items():
        assert [one.id for one in (await on_bus(bus, event)).markers] == markers[-3:]


async def test_what_the_bus_lost_is_repaired(
    api: httpx2.AsyncClient, bus: DesiredBus, deployment: Deployment, valkey: ValkeyServer
) -> None:
    publisher = DesiredPublisher(bus, deployment.databases, deployment.clock, compare_s=0)
    event = await create(api)
    await publisher.publish()
    lost = (await bus.held())[f"event:{event}"]
    marker = await mark(api, event)
    await publisher.publish()
    whole = (await bus.held())[f"event:{event}"]
    with valkey.client() as client:
        client.hset(HASH, f"event:{event}", lost)
    await publisher.publish()
    assert (await bus.held())[f"event:{event}"] == whole
    assert [one.id for one in (await on_bus(bus, event)).markers] == [marker]
