"""Drafts, lobbies, starts and ends by the clock: what clients ask for and time brings."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from infra.control.event_clock import EventClock
from infra.control.facts import apply_fact
from infra.control.publisher import desired_event
from infra.db.control import Event
from infra.events.desired import DesiredEvent
from infra.events.facts import FactType, MediaFact
from tests.integration.infra.control.conftest import NOW_MS, Deployment

pytestmark = pytest.mark.integration
NOW, IN_AN_HOUR = "2030-03-17T17:46:40.000Z", "2030-03-17T18:46:40.000Z"
HOUR_MS = 3_600_000


@pytest.fixture
def clock(deployment: Deployment) -> EventClock:
    return EventClock(deployment.databases, deployment.ring, deployment.clock)


async def create(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await api.post("/v1/events", json={"name": "Launch", **fields})
    assert response.status_code == 201, response.text
    return dict(response.json())


async def shown(api: httpx2.AsyncClient, event: str) -> dict[str, Any]:
    return dict((await api.get(f"/v1/events/{event}")).json())


async def at(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock, event: str, after_ms: int
) -> str:
    """The state of the event once the clock has looked at that time."""
    deployment.now_ms = NOW_MS + after_ms
    await clock.step()
    return str((await shown(api, event))["state"])


def report(deployment: Deployment, event: str, kind: FactType, after_ms: int) -> None:
    """What a media node says happened at that time."""
    fact = MediaFact(
        id=f"{event}-{kind}-{after_ms}",
        type=kind,
        node="n1",
        at_ns=(NOW_MS + after_ms) * 1_000_000,
        project="default",
        event=event,
    )
    with deployment.session() as session, session.begin():
        apply_fact(session, fact)


def row(deployment: Deployment, event: str) -> Event:
    with deployment.reading() as session:
        return session.get_one(Event, event)


def desired(deployment: Deployment, event: str) -> DesiredEvent:
    """What media nodes are told now."""
    return desired_event(row(deployment, event), deployment.now_ms)


async def test_a_draft_is_for_nobody_until_it_is_scheduled(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api, draft=True, starts_at=IN_AN_HOUR)
    assert (event["state"], event["ingest"]["srt"]) == ("draft", None)
    assert not desired(deployment, event["id"]).open
    assert row(deployment, event["id"]).due_ms is None
    assert (await viewer.get(f"/v1/playback/{event['id']}")).status_code == 404
    assert (await viewer.get(f"/v1/playback/{event['id']}/recording")).status_code == 404
    assert (await api.post(f"/v1/events/{event['id']}/end")).status_code == 409
    path = f"/v1/events/{event['id']}/schedule"
    scheduled = (await api.post(path)).json()
    assert scheduled["state"] == "scheduled"
    assert scheduled["ingest"]["srt"] is not None
    assert row(deployment, event["id"]).revision == 2
    assert desired(deployment, event["id"]).open
    assert (await viewer.get(f"/v1/playback/{event['id']}")).json()["state"] == "scheduled"
    assert (await api.post(path)).json() == scheduled
    await api.delete(f"/v1/events/{event['id']}")
    assert (await api.post(path)).status_code == 409


async def test_a_draft_can_be_changed_and_cancelled(api: httpx2.AsyncClient) -> None:
    event = await create(api, draft=True)
    path = f"/v1/events/{event['id']}"
    changes = {"renditions": ["360p"], "starts_at": IN_AN_HOUR}
    changed = await api.patch(path, json=changes)
    assert (changed.json()["renditions"], changed.json()["state"]) == (["360p"], "draft")
    assert (await api.delete(path)).json()["state"] == "cancelled"


async def test_the_lobby_opens_before_the_start_and_closes_when_that_moves(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, starts_at=IN_AN_HOUR, lobby_opens_s=600))["id"]
    assert (await shown(api, event))["lobby_opens_at"] == "2030-03-17T18:36:40.000Z"
    rings = deployment.rings
    assert await at(api, deployment, clock, event, HOUR_MS - 600_001) == "scheduled"
    assert deployment.rings == rings
    assert await at(api, deployment, clock, event, HOUR_MS - 600_000) == "lobby"
    assert deployment.rings == rings + 1
    told = (await viewer.get(f"/v1/playback/{event}")).json()
    assert (told["state"], told["starts_at"]) == ("lobby", "2030-03-17T18:46:40Z")
    # Nobody is told off for what changes nothing for media nodes.
    assert row(deployment, event).revision == 1
    moved = await api.patch(f"/v1/events/{event}", json={"starts_at": "2030-03-17T19:46:40Z"})
    assert moved.json()["state"] == "scheduled"
    assert await at(api, deployment, clock, event, 2 * HOUR_MS - 600_000) == "lobby"
    report(deployment, event, FactType.PROGRAM_LIVE, 2 * HOUR_MS - 1)
    assert (await shown(api, event))["state"] == "live"
    assert await at(api, deployment, clock, event, 9 * HOUR_MS) == "live"


async def test_an_event_in_its_lobby_can_be_cancelled(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, starts_at=NOW))["id"]
    assert await at(api, deployment, clock, event, 0) == "lobby"
    assert (await api.delete(f"/v1/events/{event}")).json()["state"] == "cancelled"
    assert await at(api, deployment, clock, event, HOUR_MS) == "cancelled"
    assert row(deployment, event).due_ms is None


async def test_what_comes_before_its_time_is_seen_by_nobody(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, starts_at=IN_AN_HOUR, auto_start="at_time"))["id"]
    assert desired(deployment, event).access == "nobody"
    assert desired(deployment, event).open
    report(deployment, event, FactType.PROGRAM_LIVE, 60_000)
    assert await at(api, deployment, clock, event, 120_000) == "scheduled"
    assert await at(api, deployment, clock, event, HOUR_MS - 1) == "lobby"
    assert row(deployment, event).revision == 1
    assert await at(api, deployment, clock, event, HOUR_MS) == "live"
    started = await shown(api, event)
    assert started["started_at"] == IN_AN_HOUR
    # Media nodes must learn that viewers may come.
    assert row(deployment, event).revision == 2
    assert desired(deployment, event).access == "public"


async def test_at_its_time_an_event_without_pictures_waits_for_them(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, starts_at=IN_AN_HOUR, auto_start="at_time"))["id"]
    report(deployment, event, FactType.PROGRAM_LIVE, 60_000)
    report(deployment, event, FactType.PUBLISHER_LOST, 90_000)
    assert await at(api, deployment, clock, event, HOUR_MS - 1) == "lobby"
    told = row(deployment, event).revision
    assert desired(deployment, event).access == "nobody"
    assert await at(api, deployment, clock, event, HOUR_MS) == "lobby"
    assert row(deployment, event).revision == told + 1
    assert desired(deployment, event).access == "public"
    report(deployment, event, FactType.PROGRAM_LIVE, HOUR_MS + 5_000)
    assert (await shown(api, event))["state"] == "live"


async def test_a_report_that_was_held_up_starts_the_event_late(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, starts_at=IN_AN_HOUR, auto_start="at_time"))["id"]
    assert await at(api, deployment, clock, event, HOUR_MS) == "lobby"
    report(deployment, event, FactType.PROGRAM_LIVE, 60_000)
    assert await at(api, deployment, clock, event, HOUR_MS + 5_000) == "live"


async def test_a_programme_that_ended_before_its_time_is_over(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, starts_at=IN_AN_HOUR, auto_start="at_time"))["id"]
    for number, kind in enumerate((FactType.PROGRAM_LIVE, FactType.PROGRAM_ENDED)):
        report(deployment, event, kind, number)
    assert await at(api, deployment, clock, event, HOUR_MS) == "ended"


async def test_an_organiser_who_does_not_want_to_wait_starts_at_once(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, starts_at=IN_AN_HOUR, auto_start="at_time"))["id"]
    report(deployment, event, FactType.PROGRAM_LIVE, 1_000)
    await api.patch(f"/v1/events/{event}", json={"auto_start": "on_publish"})
    assert desired(deployment, event).access == "public"
    assert row(deployment, event).revision == 2
    assert await at(api, deployment, clock, event, 2_000) == "live"
    refused = await api.patch(f"/v1/events/{event}", json={"auto_start": "at_time"})
    assert refused.status_code == 409


@pytest.mark.parametrize("published", [True, False])
async def test_an_event_ends_by_itself_where_that_is_wanted(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock, published: bool
) -> None:
    times = {"starts_at": NOW, "ends_at": IN_AN_HOUR}
    event = (await create(api, **times, auto_end=True, end_grace_s=30))["id"]
    forgotten = (await create(api, **times))["id"]
    if published:
        report(deployment, event, FactType.PROGRAM_LIVE, 1_000)
    before = "live" if published else "lobby"
    assert await at(api, deployment, clock, event, HOUR_MS + 29_999) == before
    assert await at(api, deployment, clock, event, HOUR_MS + 30_000) == "ended"
    over = await shown(api, event)
    assert (over["started_at"] is not None) is published
    assert over["ended_at"] == "2030-03-17T18:47:10.000Z"
    assert not desired(deployment, event).open
    assert await at(api, deployment, clock, forgotten, 9 * HOUR_MS) == "lobby"


async def test_nothing_published_is_no_recording(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    event = (await create(api, ends_at=IN_AN_HOUR, auto_end=True, end_grace_s=0))["id"]
    assert await at(api, deployment, clock, event, HOUR_MS) == "ended"
    assert (await viewer.get(f"/v1/playback/{event}/recording")).json()["status"] == "failed"


async def test_a_clock_that_was_away_does_everything_that_is_due(
    api: httpx2.AsyncClient, deployment: Deployment, clock: EventClock
) -> None:
    events = [(await create(api, starts_at=IN_AN_HOUR))["id"] for _ in range(5)]
    held = (await create(api, starts_at=IN_AN_HOUR, auto_start="at_time"))["id"]
    report(deployment, held, FactType.PROGRAM_LIVE, 1_000)
    deployment.now_ms += 2 * HOUR_MS
    assert await clock.step() == 6
    assert {(await shown(api, event))["state"] for event in events} == {"lobby"}
    assert (await shown(api, held))["state"] == "live"
    assert await clock.step() == 0


async def test_of_several_clocks_one_moves_an_event(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    events = [(await create(api, starts_at=IN_AN_HOUR))["id"] for _ in range(8)]
    deployment.now_ms += 2 * HOUR_MS
    clocks = [EventClock(deployment.databases, deployment.ring, deployment.clock) for _ in range(3)]
    looked_at = await asyncio.gather(*(clock.step() for clock in clocks))
    assert sum(looked_at) == len(events)
    assert {(await shown(api, event))["state"] for event in events} == {"lobby"}


async def test_an_outage_of_the_database_delays_the_clock_and_no_more(
    api: httpx2.AsyncClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = EventClock(deployment.databases, deployment.ring, deployment.clock, interval_s=3600)
    event = (await create(api, starts_at=NOW))["id"]
    step, back = EventClock.step, asyncio.Event()

    async def away(self: EventClock) -> int:
        if not back.is_set():
            raise OperationalError("SELECT", {}, ConnectionResetError())
        return await step(self)

    monkeypatch.setattr(EventClock, "step", away)
    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        running = group.create_task(clock.run())
        while clock.problem is None:
            await asyncio.sleep(0.01)
        assert (await shown(api, event))["state"] == "scheduled"
        back.set()
        while clock.problem is not None:
            await asyncio.sleep(0.01)
        assert (await shown(api, event))["state"] == "lobby"
        running.cancel()


async def test_the_clock_runs_until_it_is_stopped(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    clock = EventClock(deployment.databases, deployment.ring, deployment.clock, interval_s=3600)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(clock.run())
        event = (await create(api, starts_at=NOW))["id"]
        clock.ring()
        async with asyncio.timeout(30):
            while (await shown(api, event))["state"] != "lobby":
                await asyncio.sleep(0.01)
        running.cancel()
    assert clock.problem is None
