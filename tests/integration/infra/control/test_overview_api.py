"""`/v1/overview` and readings."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from sqlalchemy.event import listen as listens_for
from sqlalchemy.event import remove

from infra.auth.apikeys import hash_api_key
from infra.control import readings as module
from infra.control.overview import JOBS, NOTES, OPEN, OVER
from infra.control.problems import Unavailable
from infra.control.readings import Readings
from infra.db.control import ApiKey, Event, Fact
from infra.errors import BusUnavailable
from infra.events.bus import connect
from infra.events.readings import (
    Reading,
    SourceReading,
    StageReading,
    ViewersReading,
    tell,
)
from infra.lifecycle import Trigger
from infra.publishers import Role
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_delivery, add_job, advance
from tests.support.plain_http import NO_TLS
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


def reading(event: str, at_ms: int, project: str = "default") -> Reading:
    source = SourceReading(role=Role.PRIMARY, protocol="srt", on_air=True, kbps=2500, fps=30)
    return Reading(
        project=project,
        event=event,
        feed="main",
        node="n1",
        at_ms=at_ms,
        state="live",
        sources=(source,),
        viewers=ViewersReading(whep=3, hls=40),
        stages={"sent": StageReading(p50_ms=4, p95_ms=9)},
    )


async def scheduled(api: httpx2.AsyncClient, **fields: Any) -> str:
    made = await api.post("/v1/events", json={"name": "Launch day"} | fields)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def overview(api: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await api.get("/v1/overview")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_project_at_a_glance(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    live, waiting = await scheduled(api), await scheduled(api, draft=True, name="Later")
    advance(deployment, live, Trigger.PROGRAM_LIVE)
    add_job(deployment, live, "job_1", state="dead")
    add_job(deployment, live, "job_2", state="running")
    add_job(deployment, live, "job_3")
    hook = await api.post("/v1/webhooks", json={"url": "https://hooks.example/x"})
    add_delivery(deployment, hook.json()["id"])
    found = await overview(api)
    assert (found["project"], found["scopes"], found["readings"]) == ("default", ["*"], True)
    events = {one["id"]: one for one in found["events"]["items"]}
    assert {id: one["state"] for id, one in events.items()} == {live: "live", waiting: "draft"}
    assert events[live]["reading"] is None
    assert found["events"]["counts"] == [
        {"state": "draft", "count": 1},
        {"state": "live", "count": 1},
    ]
    assert [job["id"] for job in found["jobs"]["dead"]] == ["job_1"]
    assert [job["id"] for job in found["jobs"]["active"]] == ["job_2"]
    assert {one["state"]: one["count"] for one in found["jobs"]["counts"]} == {
        "dead": 1,
        "running": 1,
    }
    [told] = found["webhooks"]
    assert (told["webhook"]["id"], told["pending"], told["failed"]) == (hook.json()["id"], 1, 0)
    assert "passphrase" not in str(found)
    assert "whsec_" not in str(found)


async def test_another_project_sees_nothing_of_it(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await scheduled(api)
    advance(deployment, event, Trigger.PROGRAM_LIVE)
    add_job(deployment, event, state="dead")
    found = await overview(other)
    assert found["project"] == "other"
    assert found["events"] == {"counts": [], "items": []}
    assert found["jobs"] == {"counts": [], "active": [], "dead": []}
    assert found["webhooks"] == []


async def test_a_key_sees_what_its_scopes_show(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    with deployment.session() as session, session.begin():
        secret = "lp_only_events_key_of_the_tests"
        session.add(
            ApiKey(
                id="key_events", project="default", hash=hash_api_key(secret), name="test",
                scopes=["events:read"], created_ms=0,
            )
        )  # fmt: skip
    mine = {"Authorization": f"Bearer {secret}"}
    found = (await viewer.get("/v1/overview", headers=mine)).json()
    assert (found["scopes"], found["jobs"], found["webhooks"]) == (["events:read"], None, None)


async def test_what_it_reads_is_bounded(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    with deployment.session() as session, session.begin():
        for number in range(OPEN + 5):
            for state in ("scheduled", "ended"):
                session.add(
                    Event(
                        id=f"ev_{state}_{number}", project="default", name="x", state=state,
                        access="public", kid="k1", created_ms=number, updated_ms=number,
                        starts_at_ms=1_000_000 - number,
                    )
                )  # fmt: skip
        for number in range(NOTES + 2):
            session.add(
                Fact(
                    id=f"f{number}", project="default", event=f"ev_scheduled_{OPEN + 4}",
                    type="publisher.refused", at_ms=deployment.now_ms - number,
                    detail={"reason": "bad-key"},
                )
            )  # fmt: skip
    for number in range(JOBS + 3):
        add_job(deployment, "ev_ended_1", f"job_{number}", state="dead", at=number)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = deployment.databases.reading.kw["bind"].sync_engine
    listens_for(engine, "before_cursor_execute", note)
    found = await overview(api)
    remove(engine, "before_cursor_execute", note)
    # One finds the key.
    assert len([one for one in statements if one.startswith("SELECT")]) <= 9
    by_state: dict[str, list[str]] = {}
    for one in found["events"]["items"]:
        by_state.setdefault(one["state"], []).append(one["id"])
    assert {state: len(ids) for state, ids in by_state.items()} == {
        "scheduled": OPEN,
        "ended": OVER,
    }
    assert by_state["scheduled"][0] == f"ev_scheduled_{OPEN + 4}"
    assert by_state["ended"][0] == f"ev_ended_{OPEN + 4}"
    assert found["events"]["counts"] == [{"state": "scheduled", "count": OPEN + 5}]
    first = next(one for one in found["events"]["items"] if one["id"] == by_state["scheduled"][0])
    assert len(first["recent"]) == NOTES
    assert "stream key is wrong" in first["recent"][0]["message"]
    assert len(found["jobs"]["dead"]) == JOBS
    assert found["jobs"]["dead"][0]["id"] == f"job_{JOBS + 2}"
    assert found["jobs"]["counts"] == [{"state": "dead", "count": JOBS + 3}]


async def test_readings_come_from_the_bus(
    api: httpx2.AsyncClient,
    other: httpx2.AsyncClient,
    deployment: Deployment,
    valkey: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = await scheduled(api)
    advance(deployment, event, Trigger.PROGRAM_LIVE)
    async with connect(valkey.url) as client:
        monkeypatch.setattr(deployment.context.readings, "_client", client)
        await tell(client, [reading(event, at) for at in (1000, 6000)])
        await tell(client, [reading(event, 9000, project="other")])
        path = f"/v1/events/{event}/readings"
        items = (await api.get(path)).json()["items"]
        assert [one["at"] for one in items] == [
            "1970-01-01T00:00:01.000Z",
            "1970-01-01T00:00:06.000Z",
        ]
        assert items[0]["viewers"] == {"whep": 3, "hls": 40}
        assert items[0]["stages"] == {"sent": {"p50_ms": 4.0, "p95_ms": 9.0}}
        assert (await other.get(path)).status_code == 404
        assert (await api.get(path, params={"since": "x"})).status_code == 422
        later = await api.get(path, params={"since": "2200-01-01T00:00:00Z"})
        assert later.json() == {"items": []}
        [shown] = (await overview(api))["events"]["items"]
        assert shown["reading"] == items[1]
        valkey.stop()
        assert (await overview(api))["readings"] is False
        assert (await api.get(path)).status_code == 503
        valkey.start()


async def test_readings_are_streamed_to_their_project_alone(
    served: str, api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    readings = deployment.context.readings
    mine = {"Authorization": f"Bearer {KEY}"}
    async with (
        httpx2.AsyncClient(base_url=served, verify=NO_TLS, headers=mine) as client,
        client.stream("GET", "/v1/readings/stream", params={"event": "ev_1"}) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        for raw in (
            reading("ev_1", 1, project="other"),
            reading("ev_2", 2),
            reading("ev_1", 3),
        ):
            readings.hear(raw.model_dump_json())
        readings.hear("noise")
        readings.close()
        text = "\n".join([line async for line in response.aiter_lines()])
    assert text.count("event: reading") == 1
    assert '"at":"1970-01-01T00:00:00.003Z"' in text
    assert not readings._listeners


async def test_a_slow_listener_keeps_the_newest() -> None:
    readings = Readings()
    slow = readings.join("default")
    for at in range(module.QUEUED + 5):
        readings.hear(reading("ev_1", at).model_dump_json())
    first = await slow.next()
    assert first is not None
    assert first.at_ms == 5
    readings.leave(slow)


async def test_only_so_many_may_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_PROJECT", 1)
    readings = Readings()
    one = readings.join("default")
    with pytest.raises(Unavailable):
        readings.join("default")
    readings.leave(one)
    readings.leave(readings.join("default"))


async def test_what_nodes_tell_reaches_listeners_through_an_outage(valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as client, connect(valkey.url) as node:
        readings = Readings(client)
        running = asyncio.create_task(readings.run())
        listener = readings.join("default")
        for _ in range(2):
            async with asyncio.timeout(20):
                waiting = asyncio.create_task(listener.next())
                while not waiting.done():
                    with suppress(BusUnavailable):
                        await tell(node, [reading("ev_1", 1)])
                    await asyncio.wait([waiting], timeout=0.05)
            assert waiting.result() == reading("ev_1", 1)
            valkey.stop()
            valkey.start()
            while not listener._queue.empty():
                await listener.next()
        running.cancel()
        readings.leave(listener)
