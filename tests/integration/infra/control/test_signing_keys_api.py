"""Keys that sign viewer tokens: made, replaced and retired, and verified by anybody."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import jwt
import pytest
from sqlalchemy import select

from hotpath.node.admission import keys_of
from infra.auth.access import Access
from infra.control.app import create_app
from infra.control.publisher import DesiredPublisher
from infra.control.signing import MAX_KEYS, SIGNS_AFTER_MS
from infra.control.viewing import FRESH_MS
from infra.db.control import Project, SigningKey
from infra.events.desired import DesiredProject
from tests.integration.infra.control.conftest import KEY, Deployment

pytestmark = pytest.mark.integration
KEYS = "/v1/signing-keys"


@pytest.fixture
def signing(deployment: Deployment) -> Deployment:
    """An installation that signs with Ed25519."""
    deployment.app = create_app(replace(deployment.context, token_algorithm="EdDSA"))
    return deployment


@pytest.fixture
async def api(signing: Deployment) -> AsyncIterator[httpx2.AsyncClient]:
    async with signing.client(KEY) as client:
        yield client


async def event(api: httpx2.AsyncClient) -> str:
    made = await api.post("/v1/events", json={"name": "x", "access": "token"})
    return str(made.json()["id"])


async def issue(api: httpx2.AsyncClient, event: str) -> str:
    answer = await api.post(f"/v1/events/{event}/tokens", json={"subject": "ada"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def kid_of(token: str) -> str:
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "EdDSA"
    return str(header["kid"])


async def known_to_nodes(deployment: Deployment) -> Access:
    """What media nodes know once the publisher has run."""
    publisher = DesiredPublisher(None, deployment.databases, deployment.clock)  # type: ignore[arg-type]
    wanted = await publisher._wanted(owed_only=False)
    projects = {
        project.id: keys_of(project)
        for record in wanted.records
        if record.field.startswith("project:")
        for project in [DesiredProject.model_validate_json(record.json)]
    }
    access = Access(lambda: deployment.now_ms // 1000)
    access.set(projects, {})
    return access


def opens(access: Access, event: str, token: str) -> bool:
    path = f"/live/default/{event}/main/index.m3u8"
    return access.check("default", event, path, token, "token") is None


async def by_anybody(viewer: httpx2.AsyncClient, token: str, **where: Any) -> dict[str, Any]:
    """As docs/access.md has it."""
    answer = await viewer.get("/.well-known/jwks.json", params=where)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    keys = jwt.PyJWKSet.from_dict(answer.json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    now = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(token, key, ["EdDSA"], issuer="livepath", options=now)  # type: ignore[arg-type]


async def test_the_first_token_makes_the_first_key_and_all_verify_it(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, signing: Deployment
) -> None:
    made = await event(api)
    with signing.reading() as session:
        before = session.get_one(Project, "default").revision
    tokens = [await issue(api, made) for _ in range(2)]
    with signing.reading() as session:
        assert session.get_one(Project, "default").revision == before + 1
        (row,) = session.scalars(select(SigningKey))
    assert {kid_of(token) for token in tokens} == {row.id}
    nodes = await known_to_nodes(signing)
    for token in tokens:
        assert opens(nodes, made, token)
        assert (await by_anybody(viewer, token, project="default"))["evt"] == made
    headers = {"Authorization": f"Bearer {tokens[0]}"}
    assert (await viewer.get(f"/v1/playback/{made}/access", headers=headers)).status_code == 200
    other = (await viewer.get("/.well-known/jwks.json", params={"project": "other"})).json()
    assert other == {"keys": []}
    (listed,) = (await api.get(KEYS)).json()["items"]
    assert (listed["id"], listed["signs"]) == (row.id, True)
    assert row.private not in str(listed)


async def test_the_set_of_all_does_not_say_whose_they_are(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    (await api.post(KEYS)).raise_for_status()
    for where, whose in (({"project": "default"}, {"project": "default"}), ({}, {})):
        answer = await viewer.get("/.well-known/jwks.json", params=where)
        (key,) = answer.json()["keys"]
        known = {name: key[name] for name in ("kty", "crv", "x", "kid", "use", "alg")}
        assert key == known | whose


async def test_a_new_key_signs_when_everybody_knows_it(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, signing: Deployment
) -> None:
    made = await event(api)
    old = await issue(api, made)
    following = (await api.post(KEYS)).json()
    assert not following["signs"]
    assert kid_of(await issue(api, made)) == kid_of(old)
    signing.now_ms += SIGNS_AFTER_MS
    new = await issue(api, made)
    assert kid_of(new) == following["id"]
    nodes = await known_to_nodes(signing)
    for token in (old, new):
        assert opens(nodes, made, token)
        assert (await by_anybody(viewer, token))["sub"] == "ada"
    assert [each["signs"] for each in (await api.get(KEYS)).json()["items"]] == [True, False]


async def test_what_a_retired_key_signed_opens_nothing(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, signing: Deployment
) -> None:
    made = await event(api)
    old = await issue(api, made)
    refused = await api.delete(f"{KEYS}/{kid_of(old)}")
    assert refused.status_code == 409
    assert "at_once" in refused.json()["fix"]
    assert (await api.post(KEYS)).status_code == 201
    assert (await api.delete(f"{KEYS}/{kid_of(old)}")).status_code == 409
    signing.now_ms += 1
    assert (await api.post(KEYS, json={"at_once": True})).json()["signs"]
    new = await issue(api, made)
    assert (await api.delete(f"{KEYS}/{kid_of(old)}")).status_code == 204
    assert (await api.delete(f"{KEYS}/{kid_of(old)}")).status_code == 404
    nodes = await known_to_nodes(signing)
    assert not opens(nodes, made, old)
    assert opens(nodes, made, new)
    signing.now_ms += FRESH_MS
    for token, status in ((old, 401), (new, 200)):
        headers = {"Authorization": f"Bearer {token}"}
        answer = await viewer.get(f"/v1/playback/{made}/access", headers=headers)
        assert answer.status_code == status


async def test_tokens_of_before_the_switch_stay_good(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await event(api)
    deployment.app = create_app(replace(deployment.context, token_algorithm="HS256"))
    async with deployment.client(KEY) as before:
        token = await issue(before, made)
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert opens(await known_to_nodes(deployment), made, token)


async def test_a_project_has_a_bounded_number(api: httpx2.AsyncClient) -> None:
    for _ in range(MAX_KEYS):
        assert (await api.post(KEYS)).status_code == 201
    assert (await api.post(KEYS)).status_code == 409
