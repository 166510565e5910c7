"""`/v1/events/{event}/replay`: what is stored, refused, and served beside the recording."""

import json
from typing import Any

import httpx2
import pytest

from infra.db.jobs import Asset, Job
from infra.jobs.replay import FUNCTION, MAX_BYTES
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import NOW_MS, Deployment
from tests.integration.infra.control.rows import add_functions, advance

pytestmark = pytest.mark.integration

HELLO = {"at_ms": NOW_MS + 500, "kind": "chat", "data": {"name": "Ada", "text": "Hello ♥"}}
WAVE = {"at_ms": NOW_MS + 900, "kind": "reaction"}


@pytest.fixture
async def event(api: httpx2.AsyncClient, deployment: Deployment) -> str:
    """One that is over."""
    add_functions(deployment, FUNCTION)
    made = str((await api.post("/v1/events", json={"name": "x"})).json()["id"])
    advance(deployment, made, Trigger.PROGRAM_LIVE, Trigger.END)
    return made


@pytest.fixture
def path(event: str) -> str:
    return f"/v1/events/{event}/replay"


async def put(client: httpx2.AsyncClient, path: str, *entries: Any) -> httpx2.Response:
    return await client.put(path, json={"entries": list(entries)})


def listed(deployment: Deployment, job_id: str) -> None:
    """What a worker writes when it has read the replay."""
    with deployment.session() as session, session.begin():
        job = session.get_one(Job, job_id)
        job.state = "succeeded"
        session.add(
            Asset(
                id=f"as_{job_id}", project=job.project, event=job.event, feed="main", kind="replay",
                key=job.params["key"], content_type="application/json", bytes=5, duration_ms=0,
                detail={}, job=job_id, created_ms=deployment.now_ms,
            )
        )  # fmt: skip


async def test_it_is_stored_and_served_beside_the_recording(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment, path: str
) -> None:
    answer = await put(api, path, HELLO, WAVE)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert deployment.rings == 2  # the event, then this
    assert (await api.get(path)).json() == made
    listed(deployment, made["job"])
    event = path.split("/")[3]
    told = (await viewer.get(f"/v1/playback/{event}/recording")).json()
    assert told["replay_url"] == made["viewer_url"]
    served = await viewer.get(told["replay_url"])
    assert served.headers["content-type"] == "application/json"
    assert served.json() == {"version": 1, "entries": [HELLO, {**WAVE, "data": {}}]}


async def test_the_same_again_changes_nothing_and_another_replaces_it(
    api: httpx2.AsyncClient, deployment: Deployment, path: str
) -> None:
    first = await put(api, path, HELLO)
    again = await put(api, path, HELLO)
    assert (again.status_code, again.json()) == (200, first.json())
    deployment.now_ms += 1
    second = await put(api, path, HELLO, WAVE)
    assert second.status_code == 201
    assert second.json()["key"] != first.json()["key"]
    deployment.now_ms += 1
    back = await put(api, path, HELLO)
    assert back.status_code == 201
    assert (await api.get(path)).json()["key"] == back.json()["key"] != first.json()["key"]
    assert deployment.bucket.get(back.json()["key"]) == deployment.bucket.get(first.json()["key"])


async def test_a_later_one_counts_in_whatever_order_workers_list_them(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment, path: str
) -> None:
    first = (await put(api, path, HELLO)).json()
    deployment.now_ms += 1
    second = (await put(api, path, WAVE)).json()
    for made in (second, first):
        deployment.now_ms += 1
        listed(deployment, made["job"])
    event = path.split("/")[3]
    told = (await viewer.get(f"/v1/playback/{event}/recording")).json()
    assert told["replay_url"] == second["viewer_url"]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([WAVE, HELLO], "entry 1 is earlier"),
        ([{**HELLO, "at_ms": 1.5}], "at_ms"),
        ([{**HELLO, "at_ms": "5"}], "at_ms"),
        ([{**HELLO, "at_ms": -1}], "at_ms"),
        ([{**HELLO, "kind": "Chat"}], "kind"),
        ([{**HELLO, "who": "Ada"}], "who"),
        ([{**HELLO, "data": {"text": "x" * 3000}}], "2048 are allowed"),
        ([{**HELLO, "data": {"text": "\ud800"}}], "data"),
        ([{**HELLO, "at_ms": NOW_MS // 1000}], "before the event's first picture"),
        ([WAVE] * 20_001, "entries"),
    ],
)
async def test_what_is_no_replay_is_refused_in_words(
    api: httpx2.AsyncClient, deployment: Deployment, path: str, entries: list[Any], said: str
) -> None:
    body = json.dumps({"entries": entries})
    answer = await api.put(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert said in answer.text
    assert [info.key for info in deployment.bucket.list("")] == []


async def test_it_may_be_large_but_not_endless(
    api: httpx2.AsyncClient, deployment: Deployment, path: str
) -> None:
    entries = [{**HELLO, "data": {"text": "x" * 500}}] * 3000
    assert (await put(api, path, *entries)).status_code == 201
    assert (await api.put(path, content=b" " * (MAX_BYTES + 1))).status_code == 413


async def test_an_event_without_a_timeline_has_none(api: httpx2.AsyncClient, path: str) -> None:
    fresh = (await api.post("/v1/events", json={"name": "y"})).json()["id"]
    assert (await put(api, f"/v1/events/{fresh}/replay", HELLO)).status_code == 409
    assert (await api.get(path)).status_code == 404


async def test_nobody_else_stores_one(
    api: httpx2.AsyncClient,
    other: httpx2.AsyncClient,
    viewer: httpx2.AsyncClient,
    deployment: Deployment,
    path: str,
) -> None:
    assert (await put(other, path, HELLO)).status_code == 404
    assert (await put(viewer, path, HELLO)).status_code == 401
    assert [info.key for info in deployment.bucket.list("")] == []
