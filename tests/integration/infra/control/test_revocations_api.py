"""Viewer tokens that are called back: what the API says, what nodes learn, what recordings do."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from infra.control.revocations import MAX_REVOCATIONS
from infra.control.revoked import revoked_of
from infra.control.viewer_schemas import MAX_TTL_S
from infra.control.viewing import FRESH_MS
from infra.db.control import Event
from infra.db.revocations import TokenRevocation
from tests.integration.infra.control.conftest import Deployment

pytestmark = pytest.mark.integration


async def event_with_film(api: httpx2.AsyncClient, deployment: Deployment) -> tuple[str, str]:
    made = await api.post("/v1/events", json={"name": "x", "access": "token"})
    event = str(made.json()["id"])
    key = f"vod/default/{event}/main/c0ffee/archive.mp4"
    deployment.bucket.put(key, b"film", "video/mp4")
    return event, f"/{key}"


async def issue(api: httpx2.AsyncClient, event: str, **fields: Any) -> dict[str, Any]:
    answer = await api.post(f"/v1/events/{event}/tokens", json=fields)
    assert answer.status_code == 201
    return dict(answer.json())


async def revoke(api: httpx2.AsyncClient, event: str, **what: Any) -> httpx2.Response:
    return await api.post(f"/v1/events/{event}/revocations", json=what)


def revision(deployment: Deployment, event: str) -> int:
    with deployment.reading() as session:
        return session.scalars(select(Event.revision).where(Event.id == event)).one()


async def test_a_token_that_is_called_back_opens_no_recording_and_nodes_are_told(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event, path = await event_with_film(api, deployment)
    lost, kept = [await issue(api, event) for _ in range(2)]
    before = revision(deployment, event)
    answer = await revoke(api, event, token_id=lost["id"])
    assert answer.status_code == 201
    assert answer.json()["token_id"] == lost["id"]
    assert revision(deployment, event) == before + 1
    deployment.now_ms += FRESH_MS
    assert (await viewer.get(f"/t/{lost['token']}{path}")).status_code == 401
    assert (await viewer.get(f"/t/{kept['token']}{path}")).status_code == 200
    listed = (await api.get(f"/v1/events/{event}/revocations")).json()["items"]
    assert [each["id"] for each in listed] == [answer.json()["id"]]


async def test_a_viewer_who_was_sent_away_may_be_let_in_again_at_once(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event, path = await event_with_film(api, deployment)
    first = await issue(api, event, subject="ada")
    await revoke(api, event, subject="ada")
    again = await issue(api, event, subject="ada")
    deployment.now_ms += FRESH_MS
    assert (await viewer.get(f"/t/{first['token']}{path}")).status_code == 401
    assert (await viewer.get(f"/t/{again['token']}{path}")).status_code == 200


async def test_everybodys_takes_the_place_of_all_before(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event, _ = await event_with_film(api, deployment)
    for subject in ("ada", "bob"):
        await revoke(api, event, subject=subject)
    assert (await revoke(api, event, everybody=True)).json()["everybody"]
    listed = (await api.get(f"/v1/events/{event}/revocations")).json()["items"]
    assert [each["everybody"] for each in listed] == [True]


async def test_there_are_only_so_many_and_old_ones_make_room(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event, _ = await event_with_film(api, deployment)
    with deployment.session() as session, session.begin():
        for number in range(MAX_REVOCATIONS):
            row = {"token": f"tk_{number}", "subject": None, "until_s": 0, "project": "default"}
            at = deployment.now_ms
            session.add(TokenRevocation(id=f"rv_{number}", event=event, created_ms=at, **row))
    full = await revoke(api, event, subject="ada")
    assert full.status_code == 409
    assert "everybody" in full.json()["fix"]
    assert (await revoke(api, event, token_id="tk_7")).status_code == 201
    deployment.now_ms += MAX_TTL_S * 1000
    async with deployment.databases.reading() as session:
        assert not (await revoked_of(session, event, deployment.now_ms)).tokens
    assert (await revoke(api, event, subject="ada")).status_code == 201


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"token_id": "tk_1", "subject": "ada"},
        {"everybody": False},
        {"token_id": "../x"},
        {"subject": ""},
        {"subject": "a\u0000"},
    ],
)
async def test_it_takes_exactly_one_that_makes_sense(
    api: httpx2.AsyncClient, deployment: Deployment, what: dict[str, Any]
) -> None:
    event, _ = await event_with_film(api, deployment)
    assert (await revoke(api, event, **what)).status_code == 422
