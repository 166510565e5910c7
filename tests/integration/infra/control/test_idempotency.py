"""`Idempotency-Key` on every POST: the same request gets the same answer and is done once."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from infra.control.event_clock import EventClock
from infra.control.idempotency import KEEP_MS, REPLAYED, AnswersOnce
from infra.control.viewing import FRESH_MS
from infra.db.control import Event
from infra.db.idempotency import KeptAnswer
from infra.jobs.clip_request import INSTANT
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.rows import add_functions, advance

pytestmark = pytest.mark.integration
KEY = {"Idempotency-Key": "4f9c-1"}
LAUNCH = {"name": "Launch"}


def count(deployment: Deployment, table: Any) -> int:
    with deployment.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


async def test_the_same_request_is_answered_alike_and_done_once(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    first = await api.post("/v1/events", json=LAUNCH, headers=KEY)
    assert REPLAYED not in first.headers
    deployment.now_ms += 5_000
    rings = deployment.rings
    again = await api.post("/v1/events", json=LAUNCH, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers[REPLAYED] == "true"
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert count(deployment, Event) == 1
    assert deployment.rings == rings


async def test_another_request_with_the_key_is_refused(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await api.post("/v1/events", json=LAUNCH, headers=KEY)).json()["id"]
    for path, body in (("/v1/events", {"name": "Other"}), (f"/v1/events/{event}/rotate-key", None)):
        refused = await api.post(path, json=body, headers=KEY)
        assert refused.status_code == 409
        assert "new key" in refused.json()["fix"]
    assert count(deployment, Event) == 1
    without = await api.post("/v1/events", json=LAUNCH)
    assert without.json()["id"] != event


async def test_state_changes_are_not_repeated(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await api.post("/v1/events", json=LAUNCH)).json()["id"]
    path = f"/v1/events/{event}/rotate-key"
    first, again = [await api.post(path, headers=KEY) for _ in range(2)]
    assert first.json() == again.json()
    with deployment.reading() as session:
        assert session.get_one(Event, event).generation == 2
    advance(deployment, event, Trigger.PROGRAM_LIVE)
    await api.post(f"/v1/events/{event}/end")
    # What was answered then is answered now, whatever became of it.
    assert (await api.post(path, headers=KEY)).json() == first.json()


async def test_a_request_that_failed_may_be_sent_again(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await api.post("/v1/events", json=LAUNCH)).json()["id"]
    path = f"/v1/events/{event}/end"
    assert (await api.post(path, headers=KEY)).status_code == 409
    assert count(deployment, KeptAnswer) == 0
    advance(deployment, event, Trigger.PROGRAM_LIVE)
    assert (await api.post(path, headers=KEY)).json()["state"] == "ended"


async def test_keys_of_others_are_others(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    mine = await api.post("/v1/events", json=LAUNCH, headers=KEY)
    theirs = await other.post("/v1/events", json={"name": "Theirs"}, headers=KEY)
    assert (theirs.status_code, REPLAYED in theirs.headers) == (201, False)
    assert theirs.json()["id"] != mine.json()["id"]
    assert (await viewer.post("/v1/events", json=LAUNCH, headers=KEY)).status_code == 401


async def test_of_two_at_once_one_is_done(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    answers = await asyncio.gather(
        *(api.post("/v1/events", json=LAUNCH, headers=KEY) for _ in range(4))
    )
    assert {answer.content for answer in answers} == {answers[0].content}
    assert sorted(REPLAYED in answer.headers for answer in answers) == [False, True, True, True]
    assert count(deployment, Event) == 1


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 129])
async def test_a_key_of_another_form_is_refused(api: httpx2.AsyncClient, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode()}
    refused = await api.post("/v1/events", json=LAUNCH, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["where"] == "header.idempotency-key"


async def test_answers_are_kept_for_a_day_and_tell_nobody_anything(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    first = await api.post("/v1/events", json=LAUNCH, headers=KEY)
    with deployment.reading() as session:
        kept = session.scalars(select(KeptAnswer)).one()
    assert first.json()["ingest"]["srt"]["passphrase"].encode() not in kept.body
    assert b"Launch" not in kept.body
    deployment.now_ms += KEEP_MS
    later = await api.post("/v1/events", json=LAUNCH, headers=KEY)
    assert later.json()["id"] != first.json()["id"]
    assert count(deployment, KeptAnswer) == 1
    deployment.now_ms += KEEP_MS
    clock = EventClock(deployment.databases, deployment.ring, deployment.clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(clock.run())
        async with asyncio.timeout(30):
            while count(deployment, KeptAnswer):
                await asyncio.sleep(0.01)
        running.cancel()


async def test_every_post_takes_a_key(deployment: Deployment) -> None:
    posts = {
        path: methods["post"]
        for path, methods in deployment.app.openapi()["paths"].items()
        if "post" in methods
    }
    assert len(posts) >= 9
    for path, operation in posts.items():
        named = [one["name"].lower() for one in operation["parameters"] if one["in"] == "header"]
        assert named.count("idempotency-key") == 1, path
    assert posts.keys() <= {route.path for route in routes(deployment.app.routes)}


def routes(found: Any) -> list[AnswersOnce]:
    """Those that keep answers, however deep their routers lie."""
    kept = [route for route in found if isinstance(route, AnswersOnce)]
    for one in found:
        inner = getattr(one, "original_router", None)
        kept += routes(inner.routes) if inner is not None else []
    return kept


async def test_who_may_not_watch_any_more_gets_no_answer_that_was_kept(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    add_functions(deployment, INSTANT)
    event = (await api.post("/v1/events", json=LAUNCH | {"access": "token"})).json()["id"]
    advance(deployment, event, Trigger.PROGRAM_LIVE)
    wanted = {"clips": True, "ttl_s": 600, "subject": "ada"}
    tokens = [
        (await api.post(f"/v1/events/{event}/tokens", json=wanted)).json()["token"]
        for _ in range(2)
    ]
    deployment.now_ms += 60_000
    clip = {"start": "2030-03-17T17:46:45Z", "end": "2030-03-17T17:46:50Z"}

    async def ask(token: str) -> httpx2.Response:
        headers = KEY | {"Authorization": f"Bearer {token}"}
        return await viewer.post(f"/v1/playback/{event}/clips", json=clip, headers=headers)

    for token in tokens:
        made, again = await ask(token), await ask(token)
        assert made.status_code in (200, 201), made.text
        assert again.headers[REPLAYED] == "true"
        assert again.content == made.content
    await api.post(f"/v1/events/{event}/revocations", json={"subject": "ada"})
    deployment.now_ms += FRESH_MS
    assert (await ask(tokens[0])).status_code == 401
    deployment.now_ms += 600_000
    expired = await ask(tokens[1])
    assert expired.status_code == 401
    assert REPLAYED not in expired.headers


async def test_answers_with_keys_and_tokens_are_stored_by_nobody_on_the_way(
    api: httpx2.AsyncClient,
) -> None:
    event = (await api.post("/v1/events", json=LAUNCH)).json()["id"]
    for path, body in (
        ("/v1/events", LAUNCH),
        (f"/v1/events/{event}/tokens", {}),
        ("/v1/keys", {"name": "k", "scopes": ["events:read"]}),
    ):
        headers = {"Idempotency-Key": path.replace("/", "-")}
        first, again = [await api.post(path, json=body, headers=headers) for _ in range(2)]
        assert again.headers[REPLAYED] == "true"
        assert [one.headers["Cache-Control"] for one in (first, again)] == ["no-store"] * 2
