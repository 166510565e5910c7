"""`/v1/events/{event}/markers`: what may be put on a timeline, once, and how it ends."""

from typing import Any

import httpx2
import pytest

from infra.control.markers import MAX_MARKERS
from infra.db.control import Event
from infra.db.events_state import advance_event
from infra.db.markers import Marker
from infra.lifecycle import ACTORS, Trigger
from tests.integration.infra.control.conftest import NOW_MS, Deployment

pytestmark = pytest.mark.integration

NOW = "2030-03-17T17:46:40.000Z"


@pytest.fixture
async def path(api: httpx2.AsyncClient) -> str:
    """Of the markers of a new event."""
    event = (await api.post("/v1/events", json={"name": "Launch"})).json()["id"]
    return f"/v1/events/{event}/markers"


async def create(api: httpx2.AsyncClient, path: str, **fields: Any) -> dict[str, Any]:
    response = await api.post(path, json={"kind": "poll", **fields})
    assert response.status_code == 201, response.text
    return dict(response.json())


def told(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = dict(response.json())
    assert problem["detail"]
    assert problem["fix"]
    return problem


def revision(deployment: Deployment, path: str) -> int:
    with deployment.reading() as session:
        return session.get_one(Event, path.split("/")[3]).revision


async def test_a_marker_starts_now_and_is_open(
    api: httpx2.AsyncClient, path: str, deployment: Deployment
) -> None:
    rings = deployment.rings
    response = await api.post(path, json={"kind": "poll"})
    assert response.status_code == 201
    marker = response.json()
    assert marker == {
        "id": marker["id"],
        "kind": "poll",
        "title": None,
        "start": NOW,
        "end": None,
        "data": {},
        "created_at": NOW,
    }
    assert response.headers["Location"] == f"{path}/{marker['id']}"
    assert (await api.get(response.headers["Location"])).json() == marker
    assert deployment.rings == rings + 1
    assert revision(deployment, path) == 2


async def test_a_marker_says_where_it_lies_and_what_it_means(
    api: httpx2.AsyncClient, path: str
) -> None:
    data = {"poll_id": "p_17", "options": 3, "share": 0.5}
    one = await create(
        api,
        path,
        kind="product-drop",
        title=' Say "yes" ',
        start="2030-03-17T18:00:00+01:00",
        duration_s=1.5,
        data=data,
    )
    assert (one["kind"], one["title"], one["data"]) == ("product-drop", 'Say "yes"', data)
    assert (one["start"], one["end"]) == ("2030-03-17T17:00:00.000Z", "2030-03-17T17:00:01.500Z")
    other = await create(api, path, end="2030-03-17T17:46:41Z")
    assert (other["start"], other["end"]) == (NOW, "2030-03-17T17:46:41.000Z")


async def test_values_that_cannot_be_used_are_named(api: httpx2.AsyncClient, path: str) -> None:
    body = {"kind": "Poll", "title": "a\nb", "data": {"flag": True, "Upper": 1}}
    problem = told(await api.post(path, json=body), 422)
    named = {error["where"] for error in problem["errors"]}
    assert named == {"body.kind", "body.title", "body.data.flag", "body.data.Upper.[key]"}


async def test_a_number_that_json_has_no_word_for_is_refused(
    api: httpx2.AsyncClient, path: str
) -> None:
    body = b'{"kind": "poll", "data": {"n": NaN}}'
    response = await api.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422


async def test_an_end_before_now_needs_a_start(api: httpx2.AsyncClient, path: str) -> None:
    problem = told(await api.post(path, json={"kind": "poll", "end": "2030-01-01T00:00:00Z"}), 422)
    assert "end before it starts" in problem["detail"]


async def test_a_body_that_is_too_large(api: httpx2.AsyncClient, path: str) -> None:
    body = {"kind": "poll", "data": {"x": "y" * 70_000}}
    told(await api.post(path, json=body), 413)


async def test_a_poll_closes_once(
    api: httpx2.AsyncClient, path: str, deployment: Deployment
) -> None:
    one = await create(api, path)
    deployment.now_ms += 2500
    closed = await api.patch(f"{path}/{one['id']}", json={"end": "now"})
    assert closed.status_code == 200
    assert closed.json() == {**one, "end": "2030-03-17T17:46:42.500Z"}
    assert revision(deployment, path) == 3
    deployment.now_ms += 1000
    for same in ("now", "2030-03-17T17:46:42.500Z"):
        again = await api.patch(f"{path}/{one['id']}", json={"end": same})
        assert again.json() == closed.json()
    assert revision(deployment, path) == 3
    other = {"end": "2030-03-17T17:46:43Z"}
    problem = told(await api.patch(f"{path}/{one['id']}", json=other), 409)
    assert "has an end already" in problem["detail"]


async def test_an_end_that_was_promised_cannot_come_earlier(
    api: httpx2.AsyncClient, path: str
) -> None:
    one = await create(api, path, duration_s=30)
    told(await api.patch(f"{path}/{one['id']}", json={"end": "now"}), 409)


async def test_a_patch_sets_the_end_and_nothing_else(api: httpx2.AsyncClient, path: str) -> None:
    one = await create(api, path)
    before = {"end": "2030-01-01T00:00:00Z"}
    for body in ({}, {"end": None}, {"end": "soon"}, {"title": "x", "end": "now"}, before):
        told(await api.patch(f"{path}/{one['id']}", json=body), 422)
    assert (await api.get(f"{path}/{one['id']}")).json() == one


async def test_a_request_sent_twice_makes_one_marker(
    api: httpx2.AsyncClient, path: str, deployment: Deployment
) -> None:
    key, body = {"Idempotency-Key": "4f9c-1"}, {"kind": "poll", "data": {"n": 1}}
    first = await api.post(path, json=body, headers=key)
    deployment.now_ms += 3000
    second = await api.post(path, json=body, headers=key)
    assert (second.status_code, second.json()) == (201, first.json())
    assert revision(deployment, path) == 2
    assert second.headers["Idempotency-Replayed"] == "true"
    problem = told(await api.post(path, json={"kind": "poll"}, headers=key), 409)
    assert "another request" in problem["detail"]
    bad = await api.post(path, json=body, headers={"Idempotency-Key": "x" * 129})
    assert told(bad, 422)["errors"][0]["where"] == "header.idempotency-key"
    other = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    told(await api.post(f"/v1/events/{other}/markers", json=body, headers=key), 409)


async def test_lists_are_paged_newest_first(
    api: httpx2.AsyncClient, path: str, deployment: Deployment
) -> None:
    made = []
    for _ in range(5):
        deployment.now_ms += 1
        made.append((await create(api, path))["id"])
    page = (await api.get(path, params={"limit": 3})).json()
    rest = (await api.get(path, params={"limit": 3, "after": page["next"]})).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
    told(await api.get(path, params={"after": "?"}), 422)


async def test_only_so_many_fit_into_an_event(
    api: httpx2.AsyncClient, path: str, deployment: Deployment
) -> None:
    event = path.split("/")[3]
    with deployment.session() as session, session.begin():
        session.add_all(
            Marker(
                id=f"mk_{n}",
                project="default",
                event=event,
                kind="chapter",
                start_ms=NOW_MS,
                data={},
                request_hash="",
                created_ms=NOW_MS,
            )
            for n in range(MAX_MARKERS - 1)
        )
    last = await api.post(path, json={"kind": "poll"}, headers={"Idempotency-Key": "a"})
    problem = told(await api.post(path, json={"kind": "poll"}), 409)
    assert f"{MAX_MARKERS} markers" in problem["detail"]
    # What was made is still answered, and can still end.
    again = await api.post(path, json={"kind": "poll"}, headers={"Idempotency-Key": "a"})
    assert again.json() == last.json()
    ended = await api.patch(f"{path}/{last.json()['id']}", json={"end": "now"})
    assert ended.status_code == 200


async def test_nobody_else_sees_or_changes_them(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, viewer: httpx2.AsyncClient, path: str
) -> None:
    one = await create(api, path)
    of_other = (await other.post("/v1/events", json={"name": "Theirs"})).json()["id"]
    for theirs in (path, f"/v1/events/{of_other}/markers"):
        told(await other.get(f"{theirs}/{one['id']}"), 404)
        told(await other.patch(f"{theirs}/{one['id']}", json={"end": "now"}), 404)
    told(await other.get(path), 404)
    told(await other.post(path, json={"kind": "poll"}), 404)
    told(await viewer.post(path, json={"kind": "poll"}), 401)
    told(await api.get(f"{path}/mk_unknown"), 404)
    told(await api.get(f"{path}/NO%20NAME"), 404)


async def test_an_event_that_is_over_takes_no_markers(
    api: httpx2.AsyncClient, path: str, deployment: Deployment
) -> None:
    one = await create(api, path)
    with deployment.session() as session, session.begin():
        event = path.split("/")[3]
        for trigger in (Trigger.PROGRAM_LIVE, Trigger.END):
            by = min(ACTORS[trigger])
            advance_event(session, event, trigger, deployment.now_ms, by=by)
    problem = told(await api.post(path, json={"kind": "poll"}), 409)
    assert "is ended" in problem["detail"]
    told(await api.patch(f"{path}/{one['id']}", json={"end": "now"}), 409)
    assert [item["id"] for item in (await api.get(path)).json()["items"]] == [one["id"]]
