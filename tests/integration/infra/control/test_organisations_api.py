"""Organisations: who sees them, who makes them, and that seeing one opens nothing in it."""

from typing import Any

import httpx2
import pytest

from infra.control import organisations
from infra.control.bootstrap import add_api_key
from tests.integration.infra.control.conftest import Deployment

pytestmark = pytest.mark.integration
FOREIGN_KEY = "lp_of_the_whole_other_organisation"


async def made(api: httpx2.AsyncClient, **wanted: Any) -> dict[str, Any]:
    response = await api.post("/v1/organisations", json={"name": "Ski club", **wanted})
    assert response.status_code == 201, response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Location"] == f"/v1/organisations/{response.json()['id']}"
    return dict(response.json())


async def test_a_new_organisation_is_a_world_of_its_own(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    club = await made(api, project="Races")
    assert (club["project"]["name"], club["project"]["organisation"]) == ("Races", club["id"])
    assert club["key"]["project"] == club["project"]["id"]
    async with deployment.client(club["key"]["secret"]) as members:
        event = (await members.post("/v1/events", json={"name": "Slalom"})).json()["id"]
        more = await members.post("/v1/projects", json={"name": "Parties"})
        assert more.json()["organisation"] == club["id"]
        listed = (await members.get("/v1/organisations")).json()["items"]
        assert [one["id"] for one in listed] == [club["id"]]
        renamed = await members.patch(f"/v1/organisations/{club['id']}", json={"name": "Board"})
        assert renamed.json()["name"] == "Board"
        assert (await members.get("/v1/organisations/default")).status_code == 404
        assert (
            await members.patch("/v1/organisations/default", json={"name": "x"})
        ).status_code == 404
        refused = await members.post("/v1/organisations", json={"name": "x"})
        assert (refused.status_code, "whole installation" in refused.json()["fix"]) == (403, True)
    # Who made it sees that it is there, and opens nothing in it.
    assert (await api.get(f"/v1/events/{event}")).status_code == 404
    inside = {"Livepath-Project": club["project"]["id"]}
    assert (await api.get("/v1/events", headers=inside)).status_code == 403
    projects = (await api.get(f"/v1/organisations/{club['id']}/projects?limit=1")).json()
    assert len(projects["items"]) == 1
    rest = await api.get(
        f"/v1/organisations/{club['id']}/projects", params={"after": projects["next"]}
    )
    names = [one["name"] for one in projects["items"] + rest.json()["items"]]
    assert sorted(names) == ["Parties", "Races"]


async def test_organisations_are_listed_page_by_page(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    for name in ("One", "Two"):
        deployment.now_ms += 1
        await made(api, name=name)
    found, after = [], None
    while True:
        page = (await api.get("/v1/organisations", params={"limit": 1} | after_of(after))).json()
        found += [one["name"] for one in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found[:2] == ["Two", "One"]
    assert len(found) == 4


def after_of(cursor: str | None) -> dict[str, str]:
    return {} if cursor is None else {"after": cursor}


async def test_a_key_of_a_whole_organisation_is_none_of_the_installation(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    wanted = {"name": "k", "scopes": ["*"], "organisation_wide": True}
    key = (await api.post("/v1/keys", json=wanted)).json()
    assert key["installation_wide"] is False
    async with deployment.client(key["secret"]) as client:
        assert (await client.post("/v1/organisations", json={"name": "x"})).status_code == 403
        ids = [one["id"] for one in (await client.get("/v1/organisations")).json()["items"]]
        assert ids == ["default"]
        grown = await client.post("/v1/keys", json={**wanted, "installation_wide": True})
        assert (grown.status_code, "installation_wide" in grown.json()["fix"]) == (403, True)
        (first,) = [
            one["id"]
            for one in (await api.get("/v1/keys")).json()["items"]
            if one["installation_wide"]
        ]
        # It cannot be seen, so it cannot be rotated or revoked.
        seen = [one["id"] for one in (await client.get("/v1/keys")).json()["items"]]
        assert seen == [key["id"]]
        for verb, path in (("POST", f"/v1/keys/{first}/rotate"), ("DELETE", f"/v1/keys/{first}")):
            assert (await client.request(verb, path)).status_code == 404


async def test_a_key_for_signing_people_up_does_nothing_else(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    wanted = {"name": "sign-up", "scopes": ["organisations:write"], "installation_wide": True}
    key = (await api.post("/v1/keys", json=wanted)).json()
    assert (key["installation_wide"], key["organisation_wide"]) == (True, True)
    async with deployment.client(key["secret"]) as client:
        club = await made(client)
        assert (await client.get("/v1/events")).status_code == 403
        assert (await client.get("/v1/organisations")).status_code == 403
    assert club["project"]["name"] == "Ski club"
    assert club["key"]["made_by"] == key["id"]


async def test_another_organisations_key_sees_only_its_own(deployment: Deployment) -> None:
    with deployment.session() as session, session.begin():
        add_api_key(
            session, "other", FOREIGN_KEY, "test", deployment.now_ms, organisation_wide=True
        )
    async with deployment.client(FOREIGN_KEY) as client:
        ids = [one["id"] for one in (await client.get("/v1/organisations")).json()["items"]]
        assert ids == ["others"]
        for verb, path in (
            ("GET", "/v1/organisations/default"),
            ("GET", "/v1/organisations/default/projects"),
            ("PATCH", "/v1/organisations/default"),
        ):
            body = {"name": "x"} if verb == "PATCH" else None
            assert (await client.request(verb, path, json=body)).status_code == 404


async def test_a_repeated_request_makes_one_and_it_is_in_the_audit_log(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    once = {"Idempotency-Key": "club-1"}
    first = await api.post("/v1/organisations", json={"name": "Club"}, headers=once)
    again = await api.post("/v1/organisations", json={"name": "Club"}, headers=once)
    assert first.json() == again.json()
    await deployment.settle()
    entries = (
        await api.get("/v1/audit?operation=create_organisation_v1_organisations_post")
    ).json()["items"]
    assert len(entries) == 1
    assert first.json()["id"] in entries[0]["objects"].values()


async def test_there_is_room_for_so_many(
    api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organisations, "MAX_ORGANISATIONS", 3)
    await made(api)
    refused = await api.post("/v1/organisations", json={"name": "x"})
    assert refused.status_code == 409
    assert refused.json()["fix"]


@pytest.mark.parametrize("body", [{}, {"name": " "}, {"name": "x", "id": "mine"}])
async def test_what_is_no_organisation(api: httpx2.AsyncClient, body: dict[str, str]) -> None:
    assert (await api.post("/v1/organisations", json=body)).status_code == 422
