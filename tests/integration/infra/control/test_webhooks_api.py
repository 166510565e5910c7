"""`/v1/webhooks`: endpoints, their secrets, their deliveries, and what they may not be."""

from typing import Any

import httpx2
import pytest

from infra.control.webhooks import MOST
from infra.db.outbox import OutboxMessage
from infra.db.webhooks import Webhook, WebhookDelivery
from infra.outbox.catalogue import NoticeType
from infra.outbox.numbering import number
from infra.outbox.recording import Notice, record
from infra.webhooks import deliveries as table
from infra.webhooks.schedule import WINDOW_MS
from infra.webhooks.sending import Answer
from tests.integration.infra.control.conftest import NOW_MS, Deployment

pytestmark = pytest.mark.integration
PATH = "/v1/webhooks"
URL = "https://hooks.example/livepath"
GOOD = Answer(12, 204)
BAD = Answer(34, 500, "answered 500", "down")


async def create(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"url": URL, **fields})
    assert response.status_code == 201, response.text
    return dict(response.json())


def told(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    problem = dict(response.json())
    assert problem["detail"]
    assert problem["fix"]
    return problem


def happen(deployment: Deployment, *kinds: NoticeType, project: str = "default") -> None:
    """Record and number, as the relay does."""
    with deployment.session() as session, session.begin():
        for kind in kinds:
            record(session, Notice(project, "ev_1", kind, {}), deployment.now_ms)
        table.owe(session, number(session, project, 100), deployment.now_ms)


def attempt(deployment: Deployment, answer: Answer) -> int:
    """Every due delivery gets this answer; returns how many there were."""
    now = deployment.now_ms
    with deployment.session() as session, session.begin():
        claims = [
            claim
            for hook in table.due(session, now, 50, [])
            for claim in table.claim(session, hook, now, 50)
        ]
    for claim in claims:
        with deployment.session() as session, session.begin():
            table.finish(session, claim, answer, now, 0.5)
    return len(claims)


async def test_a_webhook_is_made_and_its_secret_shown_once(api: httpx2.AsyncClient) -> None:
    response = await api.post(PATH, json={"url": URL, "types": ["event.*"], "description": "Mine"})
    assert response.status_code == 201
    made = response.json()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == {
        "id": made["id"],
        "url": URL,
        "types": ["event.*"],
        "description": "Mine",
        "enabled": True,
        "disabled_reason": None,
        "failing_since": None,
        "old_secret_until": None,
        "created_at": "2030-03-17T17:46:40.000Z",
        "updated_at": "2030-03-17T17:46:40.000Z",
    }
    assert response.headers["Location"] == f"{PATH}/{made['id']}"
    assert (await api.get(response.headers["Location"])).json() == made
    assert (await api.get(PATH)).json() == {"items": [made], "next": None}


async def test_a_webhook_is_changed_and_deleted(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await create(api)
    path = f"{PATH}/{made['id']}"
    happen(deployment, NoticeType.EVENT_LIVE)
    changes = {"url": URL + "/2", "types": ["job.dead"], "description": "x", "enabled": False}
    changed = await api.patch(path, json=changes)
    assert changed.status_code == 200
    assert changes.items() <= changed.json().items()
    assert (await api.patch(path, json={})).json()["url"] == URL + "/2"
    assert (await api.delete(path)).status_code == 204
    told(await api.get(path), 404)
    with deployment.reading() as session:
        assert session.query(WebhookDelivery).count() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://hooks.example/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://[::ffff:10.0.0.1]/"},
        {"url": "https://inner.example/"},
        {"url": "https://nowhere.example/"},
        {"url": "nonsense"},
        {"types": ["event.nothing"]},
        {"types": []},
        {"description": "a\x00b"},
        {"colour": "red"},
    ],
)
async def test_what_cannot_be_used(api: httpx2.AsyncClient, fields: dict[str, Any]) -> None:
    told(await api.post(PATH, json={"url": URL, **fields}), 422)
    made = await create(api)
    told(await api.patch(f"{PATH}/{made['id']}", json=fields), 422)


async def test_a_project_has_so_many(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    with deployment.session() as session, session.begin():
        session.add_all(
            Webhook(
                id=f"wh_{n}",
                project="default",
                url=URL,
                types=["*"],
                secret="whsec_x",
                created_ms=NOW_MS,
                updated_ms=NOW_MS,
            )
            for n in range(MOST)
        )
    told(await api.post(PATH, json={"url": URL}), 409)
    pages = (await api.get(PATH, params={"limit": 15})).json()
    rest = (await api.get(PATH, params={"limit": 15, "after": pages["next"]})).json()
    assert len({one["id"] for one in pages["items"] + rest["items"]}) == MOST


async def test_a_secret_is_replaced_with_a_time_in_which_both_sign(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await create(api)
    path = f"{PATH}/{made['id']}"
    rotated = (await api.post(f"{path}/rotate-secret", json={"grace_s": 60})).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"] == "2030-03-17T17:47:40.000Z"

    def signing(now_ms: int) -> list[str]:
        with deployment.reading() as session:
            return list(table.signing_secrets(session.get_one(Webhook, made["id"]), now_ms))

    assert signing(NOW_MS + 59_999) == [rotated["secret"], made["secret"]]
    assert signing(NOW_MS + 60_000) == [rotated["secret"]]
    at_once = (await api.post(f"{path}/rotate-secret", json={"grace_s": 0})).json()
    assert at_once["old_secret_until"] is None
    assert signing(NOW_MS) == [at_once["secret"]]
    a_day = (await api.post(f"{path}/rotate-secret")).json()
    assert a_day["old_secret_until"] == "2030-03-18T17:46:40.000Z"


async def test_the_log_of_deliveries(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    made = await create(api, types=["event.*"])
    path = f"{PATH}/{made['id']}/deliveries"
    happen(deployment, NoticeType.EVENT_LIVE)
    assert attempt(deployment, BAD) == 1
    deployment.now_ms += 10_000
    happen(deployment, NoticeType.JOB_DEAD, NoticeType.EVENT_ENDED)
    assert attempt(deployment, GOOD) == 2
    newest, oldest = (await api.get(path)).json()["items"]
    assert (newest["type"], newest["state"], newest["attempt_count"]) == (
        *("event.ended", "delivered"),
        1,
    )
    assert [
        (one["number"], one["status"], one["error"], one["excerpt"], one["duration_ms"])
        for one in oldest["attempts"]
    ] == [(1, 500, "answered 500", "down", 34), (2, 204, None, "", 12)]
    assert oldest["delivered_at"] == "2030-03-17T17:46:50.000Z"
    one = (await api.get(f"{path}/{oldest['id']}")).json()
    assert one == {**oldest, "data": {}}
    with deployment.reading() as session:
        ids = {row.id for row in session.query(OutboxMessage)}
    assert {newest["message"], oldest["message"]} < ids
    pending = await api.get(path, params={"state": "pending"})
    assert pending.json()["items"] == []
    page = (await api.get(path, params={"limit": 1})).json()
    rest = (await api.get(path, params={"limit": 1, "after": page["next"]})).json()
    assert [page["items"][0]["id"], rest["items"][0]["id"]] == [newest["id"], oldest["id"]]


async def test_a_test_goes_to_one_endpoint_whatever_it_asked_for(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await create(api, types=["job.dead"])
    await create(api)
    rings = deployment.rings
    response = await api.post(f"{PATH}/{made['id']}/test")
    assert response.status_code == 202
    sent = response.json()
    assert (sent["type"], sent["state"], sent["attempts"]) == ("webhook.test", "pending", [])
    assert deployment.rings == rings + 1
    happen(deployment)
    assert attempt(deployment, GOOD) == 1
    path = f"{PATH}/{made['id']}/deliveries/{sent['id']}"
    assert (await api.get(path)).json()["state"] == "delivered"


async def test_a_delivery_is_replayed_with_its_id(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await create(api)
    happen(deployment, NoticeType.EVENT_LIVE)
    path = f"{PATH}/{made['id']}/deliveries"
    [first] = (await api.get(path)).json()["items"]
    told(await api.post(f"{path}/{first['id']}/replay"), 409)
    deployment.now_ms += WINDOW_MS
    assert attempt(deployment, BAD) == 1
    [failed] = (await api.get(path, params={"state": "failed"})).json()["items"]
    again = await api.post(f"{path}/{failed['id']}/replay")
    assert again.status_code == 202
    assert (again.json()["id"], again.json()["message"]) == (first["id"], first["message"])
    assert again.json()["state"] == "pending"
    # A new round has its own 24 hours.
    assert attempt(deployment, BAD) == 1
    deployment.now_ms += 6_000
    assert attempt(deployment, GOOD) == 1
    [done] = (await api.get(path)).json()["items"]
    assert [one["number"] for one in done["attempts"]] == [1, 2, 3]
    assert done["state"] == "delivered"


async def test_a_time_is_replayed(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    happen(deployment, NoticeType.EVENT_CREATED, NoticeType.JOB_DEAD)
    made = await create(api, types=["event.*"])
    deployment.now_ms += 1_000
    happen(deployment, NoticeType.EVENT_LIVE)
    assert attempt(deployment, GOOD) == 1
    deployment.now_ms += 1_000
    happen(deployment, NoticeType.EVENT_ENDED)
    path = f"{PATH}/{made['id']}/replay"
    time = {"since": "2030-03-17T17:46:40Z", "until": "2030-03-17T17:46:42Z"}
    first = await api.post(path, json=time)
    assert (first.status_code, first.json()) == (202, {"deliveries": 1, "next_since": None})
    everything = await api.post(path, json={**time, "failed_only": False})
    # What was never sent waits already; what was delivered is sent once more.
    assert everything.json()["deliveries"] == 1
    assert attempt(deployment, GOOD) == 3
    backwards = {"since": time["until"], "until": time["since"]}
    told(await api.post(path, json=backwards), 422)


async def test_a_disabled_webhook_sends_nothing_until_it_is_enabled(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await create(api)
    path = f"{PATH}/{made['id']}"
    happen(deployment, NoticeType.EVENT_LIVE)
    assert attempt(deployment, Answer(1, 410, "answered 410")) == 1
    shown = (await api.get(path)).json()
    assert not shown["enabled"]
    assert "410" in shown["disabled_reason"]
    told(await api.post(f"{path}/test"), 409)
    [failed] = (await api.get(f"{path}/deliveries")).json()["items"]
    told(await api.post(f"{path}/deliveries/{failed['id']}/replay"), 409)
    enabled = (await api.patch(path, json={"enabled": True})).json()
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
    assert enabled["failing_since"] is None
    assert (await api.post(f"{path}/deliveries/{failed['id']}/replay")).status_code == 202


async def test_another_address_begins_with_a_clean_record(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    path = f"{PATH}/{(await create(api))['id']}"
    happen(deployment, NoticeType.EVENT_LIVE)
    assert attempt(deployment, BAD) == 1
    for changes, is_failing in ({"url": URL}, True), ({"url": URL + "/2"}, False):
        changed = (await api.patch(path, json=changes)).json()
        assert (changed["failing_since"] is not None) == is_failing


async def test_nobody_else_sees_or_changes_it(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await create(api)
    mine = await other.post(PATH, json={"url": URL})
    happen(deployment, NoticeType.EVENT_LIVE)
    path = f"{PATH}/{made['id']}"
    [sent] = (await api.get(f"{path}/deliveries")).json()["items"]
    for response in (
        await other.get(path),
        await other.patch(path, json={"enabled": False}),
        await other.delete(path),
        await other.post(f"{path}/rotate-secret"),
        await other.post(f"{path}/test"),
        await other.get(f"{path}/deliveries"),
        await other.get(f"{path}/deliveries/{sent['id']}"),
        await other.get(f"{PATH}/{mine.json()['id']}/deliveries/{sent['id']}"),
        await other.post(f"{path}/deliveries/{sent['id']}/replay"),
    ):
        told(response, 404)
    assert [one["id"] for one in (await other.get(PATH)).json()["items"]] == [mine.json()["id"]]
