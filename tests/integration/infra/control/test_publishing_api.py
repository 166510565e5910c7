"""`/v1/publish`: the publish page's calls, with a WHIP token and no API key."""

import httpx2
import pytest

from infra.db.control import Fact
from tests.integration.infra.control.conftest import NOW_MS, Deployment

pytestmark = pytest.mark.integration


async def create(api: httpx2.AsyncClient) -> tuple[str, str]:
    """A new event's id and WHIP token."""
    event = (await api.post("/v1/events", json={"name": "Launch"})).json()
    return event["id"], event["ingest"]["whip"]["token"]


async def ask(client: httpx2.AsyncClient, event: str, token: str | None) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode("latin-1")}
    return await client.get(f"/v1/publish/{event}", headers=headers)


async def test_the_token_opens_what_a_publisher_needs_and_no_secret(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event, token = await create(api)
    with deployment.session() as session, session.begin():
        session.add(
            Fact(
                id="f1",
                project="default",
                event=event,
                type="ingest.warning",
                at_ms=NOW_MS,
                detail={"code": "gop", "message": "keyframes every 10 s"},
            )
        )
    response = await ask(viewer, event, token)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json()
    assert [notice["message"] for notice in body.pop("recent")] == ["keyframes every 10 s"]
    assert body == {
        "id": event,
        "name": "Launch",
        "state": "scheduled",
        "starts_at": None,
        "whip_url": f"http://media.test/whip/{event}",
    }


async def test_without_token_or_with_another_nothing_opens(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    (event, token), (_, others) = await create(api), await create(api)
    for given in (None, others, token[:-1], "ä", "x" * 10_000):
        response = await ask(viewer, event, given)
        assert response.status_code == 401, given
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["fix"]


async def test_no_event_and_a_wrong_token_cannot_be_told_apart(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    event, token = await create(api)
    missing = await ask(viewer, "ev_aaaaaaaaaaaaaaaaaaaa", token)
    wrong = await ask(viewer, event, "k1.1.aaaa")
    assert missing.status_code == wrong.status_code == 401
    told, same = missing.json(), wrong.json()
    assert told.pop("request_id") != same.pop("request_id")
    assert told == same


async def test_a_replaced_key_closes_it(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    event, token = await create(api)
    rotated = (await api.post(f"/v1/events/{event}/rotate-key")).json()
    assert (await ask(viewer, event, token)).status_code == 401
    assert (await ask(viewer, event, rotated["ingest"]["whip"]["token"])).status_code == 200


async def test_the_publisher_still_reads_that_it_is_over(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    event, token = await create(api)
    await api.delete(f"/v1/events/{event}")
    assert (await ask(viewer, event, token)).json()["state"] == "cancelled"
