"""Secrets of a project: made, used by what is new, and retired with all that came from them."""

import asyncio
import base64
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from hotpath.ingest.admission import AdmissionEntry, Reason, admission_table, decide, still_admitted
from hotpath.node.admission import keys_of
from infra.auth.access import Access
from infra.control.app import create_app
from infra.control.event_schemas import EventCreate
from infra.control.problems import Conflict
from infra.control.project_secrets import MAX_SECRETS, NAMED, SecretService, kid_for_streams
from infra.control.publisher import DesiredPublisher
from infra.control.secret_rings import FRESH_MS as RING_FRESH_MS
from infra.control.secret_rings import SecretRings
from infra.control.service import EventService
from infra.control.viewing import FRESH_MS
from infra.db.control import Project, ProjectSecret
from infra.events.desired import DesiredEvent, DesiredProject
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import advance

pytestmark = pytest.mark.integration
SECRETS = "/v1/secrets"


@dataclass(frozen=True)
class Nodes:
    """What media nodes know once the publisher has run."""

    access: Access
    table: dict[str, AdmissionEntry]

    def let_watch(self, event: str, token: str) -> bool:
        path = f"/live/default/{event}/main/index.m3u8"
        return self.access.check("default", event, path, token, "token") is None

    def let_publish(self, event: str, whip_token: str) -> bool:
        found = decide(self.table, event, whip_token, busy=False)
        return isinstance(found, AdmissionEntry)


async def nodes(deployment: Deployment) -> Nodes:
    publisher = DesiredPublisher(None, deployment.databases, deployment.clock)  # type: ignore[arg-type]
    records = (await publisher._wanted(owed_only=False)).records
    projects = [
        DesiredProject.model_validate_json(each.json)
        for each in records
        if each.field.startswith("project:")
    ]
    events = [
        DesiredEvent.model_validate_json(each.json)
        for each in records
        if each.field.startswith("event:")
    ]
    access = Access(lambda: deployment.now_ms // 1000)
    access.set({one.id: keys_of(one) for one in projects}, {})
    return Nodes(access, {row.event: row for row in admission_table(projects, events)})


async def create(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    made = await api.post("/v1/events", json={"name": "x", "access": "token", **fields})
    assert made.status_code == 201, made.text
    return dict(made.json())


async def issue(api: httpx2.AsyncClient, event: str) -> str:
    answer = await api.post(f"/v1/events/{event}/tokens", json={"subject": "ada"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def rotate(api: httpx2.AsyncClient, event: str, **body: Any) -> dict[str, Any]:
    answer = await api.post(f"/v1/events/{event}/rotate-key", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def listed(api: httpx2.AsyncClient) -> list[tuple[str, bool, int]]:
    items = (await api.get(SECRETS)).json()["items"]
    return [(one["kid"], one["signs"], one["open_events"]) for one in items]


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def stream_kid_of(event: dict[str, Any]) -> str:
    return str(event["ingest"]["whip"]["token"]).partition(".")[0]


async def test_what_is_new_comes_from_the_newest_at_once(api: httpx2.AsyncClient) -> None:
    old = await create(api)
    before = await issue(api, old["id"])
    assert (stream_kid_of(old), kid_of(before)) == ("k1", "k1")
    made = await api.post(SECRETS)
    assert made.status_code == 201
    assert made.headers["Location"] == "/v1/secrets/k2"
    assert made.json() == {
        "kid": "k2",
        "signs": True,
        "open_events": 0,
        "created_at": "2030-03-17T17:46:40.000Z",
    }
    new = await create(api)
    assert stream_kid_of(new) == "k2"
    for event in (old, new):
        assert kid_of(await issue(api, event["id"])) == "k2"
    shown = (await api.get(f"/v1/events/{old['id']}")).json()
    assert shown["ingest"] == old["ingest"] | {"recent": []}
    assert await listed(api) == [("k2", True, 1), ("k1", False, 1)]


async def test_no_secret_is_shown_and_nodes_learn_of_it(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    with deployment.reading() as session:
        revision = session.get_one(Project, "default").revision
    answers = [await api.post(SECRETS), await api.get(SECRETS)]
    assert deployment.tellings == 1
    with deployment.reading() as session:
        rows = session.scalars(select(ProjectSecret)).all()
        assert session.get_one(Project, "default").revision == revision + 1
    mine = [row for row in rows if row.project == "default"]
    assert len({base64.b64decode(row.secret) for row in mine}) == 2
    assert {len(base64.b64decode(row.secret)) for row in mine} == {32}
    assert not [row for row in rows if any(row.secret in one.text for one in answers)]


async def test_what_came_from_a_secret_is_good_until_it_is_retired_and_not_after(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api)
    id, whip = event["id"], event["ingest"]["whip"]["token"]
    token = await issue(api, id)
    await api.post(SECRETS)
    rotated = await nodes(deployment)
    assert rotated.let_watch(id, token)
    assert rotated.let_publish(id, whip)
    assert await access_status(viewer, id, token) == 200
    assert await publish_status(viewer, id, whip) == 200

    # Moving the event takes its stream key; viewers have theirs until the secret is retired.
    moved = (await rotate(api, id))["ingest"]["whip"]["token"]
    assert not (await nodes(deployment)).let_publish(id, whip)
    assert (await nodes(deployment)).let_watch(id, token)
    new = await issue(api, id)
    assert (await api.delete(f"{SECRETS}/k1")).status_code == 204
    retired = await nodes(deployment)
    assert not retired.let_watch(id, token)
    assert retired.let_watch(id, new)
    assert retired.let_publish(id, moved)
    deployment.now_ms += FRESH_MS
    assert await access_status(viewer, id, token) == 401
    assert await access_status(viewer, id, new) == 200
    assert await publish_status(viewer, id, whip) == 401
    assert await publish_status(viewer, id, moved) == 200


async def access_status(viewer: httpx2.AsyncClient, event: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await viewer.get(f"/v1/playback/{event}/access", headers=headers)).status_code


async def publish_status(viewer: httpx2.AsyncClient, event: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await viewer.get(f"/v1/publish/{event}", headers=headers)).status_code


async def test_a_publisher_may_stay_while_its_event_moves_until_its_secret_is_retired(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await create(api))["id"]
    connected = (await nodes(deployment)).table[event]
    await api.post(SECRETS)
    assert stream_kid_of(await rotate(api, event, disconnect=False)) == "k2"
    assert still_admitted(connected, (await nodes(deployment)).table[event]) is Reason.ADMITTED
    await api.delete(f"{SECRETS}/k1")
    assert still_admitted(connected, (await nodes(deployment)).table[event]) is Reason.ROTATED_KEY


async def test_a_publisher_is_cut_off_where_its_event_moves_without_grace(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await create(api))["id"]
    connected = (await nodes(deployment)).table[event]
    await api.post(SECRETS)
    await rotate(api, event)
    assert still_admitted(connected, (await nodes(deployment)).table[event]) is Reason.ROTATED_KEY


async def test_the_secret_that_signs_is_not_retired(api: httpx2.AsyncClient) -> None:
    refused = await api.delete(f"{SECRETS}/k1")
    assert refused.status_code == 409
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "POST /v1/secrets" in refused.json()["fix"]
    assert await listed(api) == [("k1", True, 0)]


async def test_a_secret_that_open_events_have_is_not_retired(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    draft = (await create(api, draft=True))["id"]
    live, over, cancelled = [(await create(api))["id"] for _ in range(3)]
    for id in (live, over):
        advance(deployment, id, Trigger.PROGRAM_LIVE)
    await api.post(f"/v1/events/{over}/end")
    await api.delete(f"/v1/events/{cancelled}")
    await api.post(SECRETS)
    assert await listed(api) == [("k2", True, 0), ("k1", False, 2)]
    refused = await api.delete(f"{SECRETS}/k1")
    assert refused.status_code == 409
    told = refused.json()
    assert "rotate-key" in told["fix"]
    named = {id for id in (draft, live, over, cancelled) if id in told["detail"]}
    assert named == {draft, live}
    for id in (draft, live):
        await rotate(api, id)
    assert await listed(api) == [("k2", True, 2), ("k1", False, 0)]
    assert (await api.delete(f"{SECRETS}/k1")).status_code == 204
    # What is over is shown as ever, and its keys open nothing.
    for id in (over, cancelled):
        assert (await api.get(f"/v1/events/{id}")).status_code == 200
    assert (await api.get("/v1/events")).status_code == 200


async def test_a_refusal_names_some_events_and_counts_the_others(api: httpx2.AsyncClient) -> None:
    ids = [(await create(api))["id"] for _ in range(NAMED + 2)]
    await api.post(SECRETS)
    detail = (await api.delete(f"{SECRETS}/k1")).json()["detail"]
    assert len([id for id in ids if id in detail]) == NAMED
    assert detail.endswith("and 2 more")


async def test_the_key_of_an_event_that_is_over_opens_no_publish_page_without_its_secret(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    event = await create(api)
    whip = event["ingest"]["whip"]["token"]
    await api.delete(f"/v1/events/{event['id']}")
    assert await publish_status(viewer, event["id"], whip) == 200
    await api.post(SECRETS)
    await api.delete(f"{SECRETS}/k1")
    assert await publish_status(viewer, event["id"], whip) == 401


async def test_tokens_come_from_the_newest_whichever_the_event_has(api: httpx2.AsyncClient) -> None:
    event = (await create(api))["id"]
    await api.post(SECRETS)
    await rotate(api, event)
    await api.post(SECRETS)
    assert kid_of(await issue(api, event)) == "k3"


async def test_a_kid_is_never_used_again(api: httpx2.AsyncClient) -> None:
    for _ in range(2):
        await api.post(SECRETS)
    for kid, status in (("k2", 204), ("k1", 204), ("k2", 404), ("k3", 409)):
        assert (await api.delete(f"{SECRETS}/{kid}")).status_code == status
    assert (await api.post(SECRETS)).json()["kid"] == "k4"


async def test_a_project_has_a_bounded_number(api: httpx2.AsyncClient) -> None:
    for _ in range(MAX_SECRETS - 1):
        assert (await api.post(SECRETS)).status_code == 201
    refused = await api.post(SECRETS)
    assert refused.status_code == 409
    assert "Retire" in refused.json()["fix"]
    assert [kid for kid, *_ in await listed(api)] == [f"k{n}" for n in range(MAX_SECRETS, 0, -1)]


async def test_repeating_it_makes_one(api: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = [await api.post(SECRETS, headers=headers) for _ in range(2)]
    assert first.json() == again.json()
    assert len(await listed(api)) == 2


async def test_it_is_in_the_audit_log(api: httpx2.AsyncClient) -> None:
    await api.post(SECRETS)
    await api.delete(f"{SECRETS}/k1")
    await api.delete(f"{SECRETS}/k9")
    entries = (await api.get("/v1/audit", params={"outcome": "done"})).json()["items"]
    assert {one["operation"].partition("_v1")[0]: one["objects"] for one in entries} == {
        "create_secret": {"created": "k2"},
        "retire_secret": {"kid": "k1"},
    }


async def test_it_needs_the_scopes_of_keys(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    made = await api.post("/v1/keys", json={"name": "k", "scopes": ["keys:read", "events:write"]})
    async with deployment.client(made.json()["secret"]) as client:
        assert (await client.get(SECRETS)).status_code == 200
        for method, path in (("POST", SECRETS), ("DELETE", f"{SECRETS}/k1")):
            refused = await client.request(method, path)
            assert refused.status_code == 403
            assert "keys:write" in refused.text


async def test_projects_count_for_themselves(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient
) -> None:
    await api.post(SECRETS)
    assert (await other.delete(f"{SECRETS}/k2")).status_code == 404
    assert await listed(other) == [("k1", True, 0)]
    assert stream_kid_of(await create(other)) == "k1"


async def test_another_control_process_signs_with_it_soon(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await create(api))["id"]
    elsewhere = create_app(replace(deployment.context, rings=SecretRings()))
    async with client_of(elsewhere) as there:
        assert kid_of(await issue(there, event)) == "k1"
        await api.post(SECRETS)
        deployment.now_ms += RING_FRESH_MS
        assert kid_of(await issue(there, event)) == "k2"
        assert stream_kid_of(await create(there)) == "k2"


async def test_another_control_process_gives_new_events_the_newest_at_once(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await create(api))["id"]
    elsewhere = create_app(replace(deployment.context, rings=SecretRings()))
    async with client_of(elsewhere) as there:
        await issue(there, event)
        await api.post(SECRETS)
        new = await create(there)
        assert stream_kid_of(new) == "k2"
        assert kid_of(await issue(there, new["id"])) == "k2"
        assert (await there.get(f"/v1/events/{new['id']}")).json()["ingest"]["whip"] is not None


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app, raise_app_exceptions=True),
        base_url="http://control.test",
        headers={"Authorization": f"Bearer {KEY}"},
    )


async def test_a_secret_waits_for_the_events_that_get_it_at_the_moment(
    deployment: Deployment,
) -> None:
    writing, now = deployment.databases.writing, deployment.now_ms

    async def replace_and_retire() -> str:
        async with writing() as session:
            service = SecretService(session, "default", now, SecretRings())
            await service.create()
            with pytest.raises(Conflict) as refused:
                await service.retire("k1")
            return str(refused.value)

    async with writing() as session:
        assert await kid_for_streams(session, "default") == "k1"
        replacing = asyncio.ensure_future(replace_and_retire())
        # As long as it likes, if nothing holds it.
        done, _ = await asyncio.wait([replacing], timeout=0.3)
        assert not done
        events = EventService(session, deployment.context, "default")
        event = await events.create(EventCreate(name="x"))
        await session.commit()
    assert event.kid == "k1"
    assert event.id in await replacing
