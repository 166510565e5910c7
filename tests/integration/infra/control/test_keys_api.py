"""API keys: made, shown once, limited, rotated, revoked; and nobody gets more than they have."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from infra.auth.apikeys import hash_api_key
from infra.control import keys
from infra.control.bootstrap import bootstrap, create_project
from infra.db.control import ApiKey
from tests.integration.infra.control.conftest import KEY, Deployment

pytestmark = pytest.mark.integration
DAY_MS = 24 * 3600 * 1000
TOMORROW, LATER = "2030-03-18T17:46:40.000Z", "2031-01-01T00:00:00.000Z"
"""The tests' clock stands at 2030-03-17T17:46:40Z."""


async def made(api: httpx2.AsyncClient, **wanted: Any) -> dict[str, Any]:
    response = await api.post("/v1/keys", json={"name": "k", "scopes": ["*"], **wanted})
    assert response.status_code == 201, response.text
    return dict(response.json())


async def test_a_key_is_shown_once_and_works(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    response = await api.post("/v1/keys", json={"name": "k", "scopes": ["events:read"]})
    key = response.json()
    assert response.headers["Cache-Control"] == "no-store"
    shown = (await api.get(response.headers["Location"])).json()
    assert shown == {name: value for name, value in key.items() if name != "secret"}
    assert key["secret"].startswith("lp_")
    assert key["secret"] not in (await api.get("/v1/keys")).text
    with deployment.reading() as session:
        row = session.scalars(select(ApiKey).where(ApiKey.id == key["id"])).one()
    assert row.hash == hash_api_key(key["secret"])
    async with deployment.client(key["secret"]) as client:
        assert (await client.get("/v1/events")).status_code == 200
        refused = await client.post("/v1/events", json={"name": "x"})
    assert refused.status_code == 403
    assert refused.json()["fix"] == ("Use a key that has events:write, or make one: POST /v1/keys.")


async def test_only_who_may_publish_sees_how(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    shown = await api.post("/v1/events", json={"name": "x"})
    path, passphrase = (
        f"/v1/events/{shown.json()['id']}",
        shown.json()["ingest"]["srt"]["passphrase"],
    )
    for scopes, sees in (
        (["events:read"], False),
        (["events:read", "ingest:read"], True),
        (["events:read", "events:write"], True),
    ):
        key = await made(api, scopes=scopes)
        async with deployment.client(key["secret"]) as client:
            one, listed = await client.get(path), await client.get("/v1/events")
        assert (passphrase in one.text, passphrase in listed.text) == (sees, sees)
        # Whoever changes the event may have seen it with another key.
        assert one.headers["ETag"] == (await api.get(path)).headers["ETag"]


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ({"scopes": []}, "body.scopes"),
        ({"scopes": ["events:read", "events:read"]}, "body.scopes"),
        ({"scopes": ["events:everything"]}, "body.scopes.0"),
        ({"name": " "}, "body.name"),
        ({"expires_at": "tomorrow"}, "body.expires_at"),
        ({"project": "other"}, "body.project"),
    ],
)
async def test_a_key_that_cannot_be_made(
    api: httpx2.AsyncClient, wanted: dict[str, Any], where: str
) -> None:
    response = await api.post("/v1/keys", json={"name": "k", "scopes": ["*"], **wanted})
    assert response.status_code == 422
    assert [item["where"] for item in response.json()["errors"]] == [where]


async def test_a_key_makes_none_that_may_more(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    lesser = await made(api, scopes=["keys:write", "events:read"], expires_at=TOMORROW)
    async with deployment.client(lesser["secret"]) as client:
        for wanted, word in (
            ({"scopes": ["*"]}, "*"),
            ({"scopes": ["events:read", "events:write"]}, "events:write"),
            ({"scopes": ["events:read"], "organisation_wide": True}, "one project"),
            ({"scopes": ["events:read"], "expires_at": LATER}, "earlier"),
        ):
            refused = await client.post("/v1/keys", json={"name": "k", **wanted})
            assert refused.status_code == 403, refused.text
            assert word in refused.json()["detail"]
        child = await made(client, scopes=["events:read"])
    assert child["expires_at"] == TOMORROW
    assert child["made_by"] == lesser["id"]


async def test_a_key_touches_none_that_may_more(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    lesser = await made(api, scopes=["keys:read", "keys:write", "events:read"])
    greater = await made(api, scopes=["jobs:read"])
    wide = await made(api, scopes=["keys:read"], organisation_wide=True)
    async with deployment.client(lesser["secret"]) as client:
        assert (await client.delete(f"/v1/keys/{greater['id']}")).status_code == 403
        assert (await client.post(f"/v1/keys/{greater['id']}/rotate")).status_code == 403
        assert (await client.get(f"/v1/keys/{greater['id']}")).status_code == 200
        own = await client.post(f"/v1/keys/{lesser['id']}/rotate", json={"grace_s": 60})
        assert own.status_code == 200
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
            response = await client.request(method, f"/v1/keys/{wide['id']}{path}")
            assert response.status_code == 404
        listed = {one["id"] for one in (await client.get("/v1/keys")).json()["items"]}
        assert listed == {lesser["id"], greater["id"]}
    assert len((await api.get("/v1/keys")).json()["items"]) == 4
    brief = await made(api, expires_at=TOMORROW)
    async with deployment.client(brief["secret"]) as client:
        outlives = await client.post(f"/v1/keys/{greater['id']}/rotate")
        assert outlives.status_code == 403
        assert "for longer" in outlives.json()["detail"]


async def test_a_project_has_room_for_so_many(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_KEYS", 2)
    key = await made(api)
    full = await api.post("/v1/keys", json={"name": "k", "scopes": ["*"]})
    assert full.status_code == 409
    await made(other)
    await api.delete(f"/v1/keys/{key['id']}")
    await made(api)


async def test_a_key_expires(deployment: Deployment, api: httpx2.AsyncClient) -> None:
    assert (
        await api.post(
            "/v1/keys", json={"name": "k", "scopes": ["*"], "expires_at": "2020-01-01T00:00:00Z"}
        )
    ).status_code == 422
    key = await made(api, expires_at=TOMORROW)
    async with deployment.client(key["secret"]) as client:
        assert (await client.get("/v1/events")).status_code == 200
        deployment.now_ms += DAY_MS
        refused = await client.get("/v1/events")
    assert refused.status_code == 401
    assert "expired at 2030-03-18T17:46:40Z" in refused.json()["detail"]
    assert (await api.post(f"/v1/keys/{key['id']}/rotate")).status_code == 409


async def test_a_revoked_key_opens_nothing(deployment: Deployment, api: httpx2.AsyncClient) -> None:
    key = await made(api)
    revoked = await api.delete(f"/v1/keys/{key['id']}")
    assert revoked.json()["revoked_at"] == "2030-03-17T17:46:40.000Z"
    deployment.now_ms += 1000
    assert (await api.delete(f"/v1/keys/{key['id']}")).json() == revoked.json()
    async with deployment.client(key["secret"]) as client:
        refused = await client.get("/v1/events")
    assert refused.status_code == 401
    assert "revoked" in refused.json()["detail"]
    assert (await api.post(f"/v1/keys/{key['id']}/rotate")).status_code == 409


async def test_a_start_does_not_bring_back_what_was_taken_away(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    (first,) = (await api.get("/v1/keys")).json()["items"]
    rotated = (await api.post(f"/v1/keys/{first['id']}/rotate")).json()["secret"]
    bootstrap(deployment.engine, KEY, deployment.now_ms)
    assert not await works(deployment, KEY)
    async with deployment.client(rotated) as client:
        assert (await client.delete(f"/v1/keys/{first['id']}")).status_code == 200
    bootstrap(deployment.engine, rotated, deployment.now_ms)
    assert not await works(deployment, rotated)


async def works(deployment: Deployment, secret: str) -> bool:
    async with deployment.client(secret) as client:
        status = (await client.get("/v1/events")).status_code
    assert status in (200, 401)
    return status == 200


async def test_a_secret_is_replaced_at_once(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    key = await made(api)
    rotated = (await api.post(f"/v1/keys/{key['id']}/rotate")).json()
    assert rotated["previous_until"] == "2030-03-17T17:46:40.000Z"
    assert not await works(deployment, key["secret"])
    assert await works(deployment, rotated["secret"])


async def test_the_old_secret_is_good_for_its_grace(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    key = await made(api)
    rotated = (await api.post(f"/v1/keys/{key['id']}/rotate", json={"grace_s": 3600})).json()
    assert rotated["previous_until"] == "2030-03-17T18:46:40.000Z"
    deployment.now_ms += 3_599_999
    assert await works(deployment, key["secret"])
    assert await works(deployment, rotated["secret"])
    deployment.now_ms += 1
    assert not await works(deployment, key["secret"])
    assert await works(deployment, rotated["secret"])
    # A second rotation within the grace of the first: the oldest secret is out.
    second = (await api.post(f"/v1/keys/{key['id']}/rotate", json={"grace_s": 60})).json()
    third = (await api.post(f"/v1/keys/{key['id']}/rotate", json={"grace_s": 60})).json()
    assert not await works(deployment, rotated["secret"])
    assert await works(deployment, second["secret"])
    assert await works(deployment, third["secret"])
    await api.delete(f"/v1/keys/{key['id']}")
    assert not await works(deployment, second["secret"])


async def test_a_secret_whose_answer_got_lost_is_asked_for_again(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    key = await made(api)
    path, once = f"/v1/keys/{key['id']}/rotate", {"Idempotency-Key": "rotation-1"}
    async with deployment.client(key["secret"]) as client:
        first = await client.post(path, json={"grace_s": 60}, headers=once)
        again = await client.post(path, json={"grace_s": 60}, headers=once)
    assert again.json() == first.json()
    assert await works(deployment, first.json()["secret"])


@pytest.mark.parametrize("grace_s", [-1, 86_401, None, "long"])
async def test_a_grace_of_a_day_at_most(api: httpx2.AsyncClient, grace_s: object) -> None:
    key = await made(api)
    response = await api.post(f"/v1/keys/{key['id']}/rotate", json={"grace_s": grace_s})
    assert response.status_code == 422


async def test_the_last_use_is_written_once_a_minute(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    key = await made(api)
    path, began = f"/v1/keys/{key['id']}", deployment.now_ms

    async def last_used() -> str | None:
        await deployment.settle()
        used: str | None = (await api.get(path)).json()["last_used_at"]
        return used

    assert await last_used() is None
    for passed_ms, written in ((0, "17:46:40"), (59_999, "17:46:40"), (60_000, "17:47:40")):
        deployment.now_ms = began + passed_ms
        assert await works(deployment, key["secret"])
        assert written in str(await last_used())


async def test_uses_are_written_by_themselves(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    key = await made(api)
    running = asyncio.create_task(deployment.context.uses.run(deployment.databases.writing))
    try:
        assert await works(deployment, key["secret"])
        async with asyncio.timeout(20):
            while (await api.get(f"/v1/keys/{key['id']}")).json()["last_used_at"] is None:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_key_of_the_organisation_names_the_project(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    with deployment.session() as session, session.begin():
        create_project(session, "second", "Second", deployment.now_ms)
    wide = await made(api, scopes=["events:read", "events:write"], organisation_wide=True)
    narrow = await made(api, scopes=["events:read"])
    second = {"Livepath-Project": "second"}
    async with deployment.client(wide["secret"]) as client:
        event = (await client.post("/v1/events", json={"name": "x"}, headers=second)).json()["id"]
        assert (await client.get(f"/v1/events/{event}", headers=second)).status_code == 200
        assert (await client.get(f"/v1/events/{event}")).status_code == 404
        for name in ("other", "absent", "a\x7fb", "", "x" * 500):
            refused = await client.get("/v1/events", headers={"Livepath-Project": name})
            assert refused.status_code == 403
            assert refused.json()["type"] == "urn:livepath:problem:other-project"
    async with deployment.client(narrow["secret"]) as client:
        assert (await client.get("/v1/events", headers=second)).status_code == 403
        own = {"Livepath-Project": "default"}
        assert (await client.get("/v1/events", headers=own)).status_code == 200
