"""Markers reach the bus with their event: the newest of each, complete, and again after a loss."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest

from infra.control import marked
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


async def create(api: httpx2.AsyncClient, **fields: object) -> str:
    return str((await api.post("/v1/events", json={"name": "x", **fields})).json()["id"])


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
    monkeypatch.setattr(marked, "MARKERS_SENT", 3)
    monkeypatch.setattr(marked, "_PER_QUERY", 1)
    first, second = await create(api), await create(api)
    made: dict[str, list[str]] = {first: [], second: []}
    for _ in range(5):
        for event, markers in made.items():
            deployment.now_ms += 1
            markers.append(await mark(api, event, start="2030-01-01T00:00:00Z"))
    await publisher.publish()
    for event, markers in made.items():
        assert [one.id for one in (await on_bus(bus, event)).markers] == markers[-3:]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marked, "MARKERS_SENT", 3)


def time_of(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat()


async def later(
    api: httpx2.AsyncClient, deployment: Deployment, event: str, count: int = 3, *, over: bool
) -> list[str]:
    """Markers, each made a second after the one before; those that are over took no time."""
    made = []
    for _ in range(count):
        deployment.now_ms += 1000
        end = {"end": time_of(deployment.now_ms)} if over else {}
        made.append(await mark(api, event, **end))
    return made


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("back_ms", [0, 500])
async def test_the_end_of_an_older_marker_travels(
    api: httpx2.AsyncClient,
    bus: DesiredBus,
    publisher: DesiredPublisher,
    deployment: Deployment,
    back_ms: int,
) -> None:
    event = await create(api)
    old = await mark(api, event)
    others = await later(api, deployment, event, over=False)
    await publisher.publish()
    assert [one.id for one in (await on_bus(bus, event)).markers] == others
    deployment.now_ms += 1000
    end_ms = deployment.now_ms - back_ms
    await api.patch(f"/v1/events/{event}/markers/{old}", json={"end": time_of(end_ms)})
    await publisher.publish()
    ends = {one.id: one.end_ms for one in (await on_bus(bus, event)).markers}
    assert ends == {old: end_ms} | dict.fromkeys(others)
    await later(api, deployment, event, 2, over=True)
    await publisher.publish()
    assert old in [one.id for one in (await on_bus(bus, event)).markers]


@pytest.mark.usefixtures("few")
async def test_what_goes_on_is_not_displaced_by_what_is_over(
    api: httpx2.AsyncClient, bus: DesiredBus, publisher: DesiredPublisher, deployment: Deployment
) -> None:
    event = await create(api)
    open_ended = await mark(api, event)
    ending = await mark(api, event, end=time_of(deployment.now_ms + 60_000))
    over = await later(api, deployment, event, over=True)
    await publisher.publish()
    sent = [one.id for one in (await on_bus(bus, event)).markers]
    assert sorted(sent) == sorted([open_ended, ending, *over])


@pytest.mark.usefixtures("few")
async def test_all_that_a_long_window_may_show_travels(
    api: httpx2.AsyncClient, bus: DesiredBus, publisher: DesiredPublisher, deployment: Deployment
) -> None:
    event = await create(api, dvr_window_s=3600)
    gone = await later(api, deployment, event, 4, over=True)
    deployment.now_ms += 3600 * 1250
    shown = await later(api, deployment, event, 1, over=True)
    deployment.now_ms += 3600 * 500
    shown += await later(api, deployment, event, 6, over=True)
    await publisher.publish()
    sent = [one.id for one in (await on_bus(bus, event)).markers]
    assert sent == shown
    assert not set(sent) & set(gone)


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
