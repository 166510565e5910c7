"""The audit log: what was changed, with the change; what was refused, a moment later."""

import asyncio
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import async_sessionmaker

from infra.control.audit import AuditTrail, Deed, entry_of, forget_before
from infra.control.service import EventService
from infra.db.audit import AuditEntry
from infra.db.engine import async_engine
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_functions, advance

pytestmark = pytest.mark.integration


async def log(api: httpx2.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    return list((await api.get("/v1/audit", params=filters)).json()["items"])


async def test_a_change_is_in_the_log_at_once(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    ours = {"X-Request-Id": "client-17"}
    event = (await api.post("/v1/events", json={"name": "x"}, headers=ours)).json()["id"]
    deployment.now_ms += 1
    await api.post(f"/v1/events/{event}/rotate-key")
    rotated, created = await log(api)
    (key,) = (await api.get("/v1/keys")).json()["items"]
    assert created == {
        "id": created["id"],
        "at": "2030-03-17T17:46:40.000Z",
        "key": key["id"],
        "ip": "127.0.0.1",
        "operation": "create_event_v1_events_post",
        "event": None,
        "objects": {"created": event},
        "outcome": "done",
        "status": 201,
        "request_id": "client-17",
    }
    assert rotated["operation"].startswith("rotate_key_v1_events")
    assert (rotated["event"], rotated["objects"]) == (event, {"event": event})


async def test_operations_are_named_as_in_the_description(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    await api.post("/v1/events", json={"name": "x"})
    named = {
        one["operationId"]
        for methods in deployment.app.openapi()["paths"].values()
        for one in methods.values()
    }
    assert {one["operation"] for one in await log(api)} <= named


async def test_reading_is_not_in_the_log(api: httpx2.AsyncClient) -> None:
    await api.get("/v1/events")
    await api.get("/v1/events/ev_absent")
    assert await log(api) == []


async def test_refusals_are_in_the_log(deployment: Deployment, api: httpx2.AsyncClient) -> None:
    key = (await api.post("/v1/keys", json={"name": "k", "scopes": ["events:read"]})).json()
    event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    async with deployment.client(key["secret"]) as client:
        assert (await client.post("/v1/events", json={"name": "x"})).status_code == 403
        await api.delete(f"/v1/keys/{key['id']}")
        assert (await client.delete(f"/v1/events/{event}")).status_code == 401
    assert (await api.post(f"/v1/events/{event}/end")).status_code == 409
    assert (await api.post("/v1/events", json={})).status_code == 422
    assert (await api.delete("/v1/events/ev_absent")).status_code == 404
    await deployment.settle()
    refused = await log(api, outcome="refused")
    assert sorted(one["status"] for one in refused) == [401, 403, 404, 409, 422]
    by = {one["status"]: one for one in refused}
    # A key that opens nothing any more is still somebody's.
    assert by[401]["key"] == by[403]["key"] == key["id"]
    assert by[401]["event"] == by[409]["event"] == event
    assert by[404]["event"] == "ev_absent"


async def test_nobodys_refusals_are_nobodys(
    deployment: Deployment, viewer: httpx2.AsyncClient, api: httpx2.AsyncClient
) -> None:
    await viewer.post("/v1/events", json={"name": "x"})
    await viewer.post("/v1/events", headers={"Authorization": "Bearer wrong"}, json={})
    await viewer.post("/v1/nothing", json={})
    await deployment.settle()
    assert await log(api) == []
    with deployment.reading() as session:
        kept = session.scalars(select(AuditEntry)).all()
    assert [(one.project, one.key, one.status, one.ip) for one in kept] == [
        (None, None, 401, "127.0.0.1")
    ] * 2


async def test_a_viewers_change_is_in_the_log_of_the_events_project(
    deployment: Deployment, api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    advance(deployment, event, Trigger.PROGRAM_LIVE)
    add_functions(deployment, "clip-instant")
    token = (await api.post(f"/v1/events/{event}/tokens", json={"clips": True})).json()["token"]
    deployment.now_ms += 60_000
    made = await viewer.post(
        f"/v1/playback/{event}/clips",
        json={"start": "2030-03-17T17:46:45Z", "end": "2030-03-17T17:46:50Z"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert made.status_code == 201, made.text
    (entry,) = await log(api, operation="create_clip_v1_playback__event__clips_post")
    assert entry["key"] is None
    assert entry["objects"] == {"event": event, "created": made.json()["id"]}
    assert token not in (await api.get("/v1/audit")).text


async def test_what_was_rolled_back_is_not_in_the_log(
    api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = EventService.create

    async def fails(self: EventService, wanted: Any) -> Any:
        await create(self, wanted)
        raise OperationalError("INSERT", {}, ConnectionResetError())

    monkeypatch.setattr(EventService, "create", fails)
    assert (await api.post("/v1/events", json={"name": "x"})).status_code == 503
    assert await log(api) == []


async def test_the_log_has_no_secrets(deployment: Deployment, api: httpx2.AsyncClient) -> None:
    key = (await api.post("/v1/keys", json={"name": "hush", "scopes": ["*"]})).json()
    event = (await api.post("/v1/events", json={"name": "hush"})).json()
    token = (await api.post(f"/v1/events/{event['id']}/tokens")).json()["token"]
    await api.delete(f"/v1/events/{key['secret']}")
    await api.delete("/v1/events/a b c")
    await deployment.settle()
    with deployment.reading() as session:
        kept = " ".join(str(vars(row)) for row in session.scalars(select(AuditEntry)))
    for secret in (
        KEY,
        key["secret"],
        "hush",
        token,
        event["ingest"]["srt"]["passphrase"],
        "a b c",
    ):
        assert secret not in kept


async def test_the_log_is_filtered_and_paged(
    deployment: Deployment, api: httpx2.AsyncClient, other: httpx2.AsyncClient
) -> None:
    events = []
    for number in range(5):
        deployment.now_ms += 1000
        event = await api.post(
            "/v1/events", json={"name": "x"}, headers={"X-Request-Id": f"r{number}"}
        )
        events.append(event.json()["id"])
    deployment.now_ms += 1000
    await api.delete(f"/v1/events/{events[0]}")
    seen, after = [], None
    while True:
        query = {"limit": 2} | ({} if after is None else {"after": after})
        page = (await api.get("/v1/audit", params=query)).json()
        seen += page["items"]
        after = page["next"]
        if after is None:
            break
    assert [one["status"] for one in seen] == [200, *[201] * 5]
    assert len({one["id"] for one in seen}) == 6
    assert [one["objects"] for one in await log(api, event=events[0])] == [{"event": events[0]}]
    assert [one["request_id"] for one in await log(api, request_id="r3")] == ["r3"]
    assert len(await log(api, since="2030-03-17T17:46:44Z")) == 3
    assert len(await log(api, until="2030-03-17T17:46:44Z")) == 3
    assert await log(api, key="key_absent") == []
    assert (await api.get("/v1/audit?key=a%00b")).status_code == 422
    assert await log(other) == []


async def test_old_entries_are_forgotten(deployment: Deployment, api: httpx2.AsyncClient) -> None:
    await api.post("/v1/events", json={"name": "old"})
    deployment.now_ms += 1000
    await api.post("/v1/events", json={"name": "new"})
    writing = deployment.databases.writing
    assert await forget_before(writing, deployment.now_ms)
    assert not await forget_before(writing, deployment.now_ms)
    assert len(await log(api)) == 1


async def test_the_trail_writes_by_itself_and_forgets(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    await api.post("/v1/events", json={"name": "old"})
    deployment.now_ms += 2 * 24 * 3600 * 1000
    context = deployment.context
    running = asyncio.create_task(
        context.trail.run(deployment.databases.writing, deployment.clock, days=1)
    )
    try:
        await api.delete("/v1/events/ev_absent")
        async with asyncio.timeout(20):
            while [one["status"] for one in await log(api)] != [404]:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_outage_costs_refusals_and_nothing_else() -> None:
    away = async_engine("postgresql://nobody@127.0.0.1:1/nothing")
    trail, dropped = AuditTrail(), "livepath_control_audit_dropped_total"
    before = REGISTRY.get_sample_value(dropped) or 0
    trail.refused(entry_of(Deed("req", "203.0.113.7", None, None, "op", {}, 401), 1))
    await trail.flush(async_sessionmaker(away))
    assert REGISTRY.get_sample_value(dropped) == before + 1
    await away.dispose()


async def test_what_does_not_fit_is_dropped(deployment: Deployment) -> None:
    trail = AuditTrail(waiting=2)
    deed = Deed("req", "203.0.113.7", None, None, "op", {}, 401)
    for _ in range(5):
        trail.refused(entry_of(deed, 1))
    await trail.flush(deployment.databases.writing)
    with deployment.reading() as session:
        assert len(session.scalars(select(AuditEntry)).all()) == 2
