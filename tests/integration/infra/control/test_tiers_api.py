"""Roles and tiers of viewer tokens over the API, and tiers that change while viewers watch."""

import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from infra.auth.policy import Role, Tier
from infra.auth.tokens import ViewerClaims, verify
from infra.control.publisher import DesiredPublisher
from infra.control.tier_changes import MAX_CHANGES
from infra.control.viewer_schemas import MAX_TTL_S
from infra.control.viewing import FRESH_MS
from infra.db.control import Event
from infra.db.revocations import TierChangeRow
from infra.events.desired import DesiredTier
from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.test_events_api import secret_of

pytestmark = pytest.mark.integration


async def event(api: httpx2.AsyncClient, access: str = "token") -> str:
    made = await api.post("/v1/events", json={"name": "x", "access": access})
    return str(made.json()["id"])


async def issue(api: httpx2.AsyncClient, event: str, **fields: Any) -> dict[str, Any]:
    answer = await api.post(f"/v1/events/{event}/tokens", json=fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def change(api: httpx2.AsyncClient, event: str, **what: Any) -> httpx2.Response:
    return await api.post(f"/v1/events/{event}/tier-changes", json=what)


def claims(deployment: Deployment, token: dict[str, Any]) -> ViewerClaims:
    return verify(token["token"], {"k1": secret_of(deployment)}, deployment.now_ms // 1000)


async def access(viewer: httpx2.AsyncClient, event: str, token: str | None) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await viewer.get(f"/v1/playback/{event}/access", headers=headers)


async def test_a_token_has_what_it_always_had_unless_something_is_said(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await issue(api, await event(api))
    assert (made["role"], made["tier"], made["transports"]) == (
        "viewer", "standard", ["whep", "hls"]
    )  # fmt: skip
    found = claims(deployment, made)
    assert (found.cap, found.clips, found.network) == (None, False, None)


@pytest.mark.parametrize(
    ("wanted", "tier", "transports"),
    [
        ({"role": "interactive"}, "interactive", ["whep", "hls"]),
        ({"role": "backstage"}, "backstage", ["whep"]),
        ({"role": "moderator"}, "interactive", ["whep", "hls"]),
        ({"role": "host", "tier": "broadcast"}, "broadcast", ["hls"]),
        ({"tier": "broadcast", "max_rendition": "480p"}, "broadcast", ["hls"]),
    ],
)
async def test_role_and_tier_are_in_the_token(
    api: httpx2.AsyncClient,
    deployment: Deployment,
    wanted: dict[str, str],
    tier: str,
    transports: list[str],
) -> None:
    made = await issue(api, await event(api), **wanted)
    assert (made["tier"], made["transports"]) == (tier, transports)
    found = claims(deployment, made)
    assert found.role is Role(wanted.get("role", "viewer"))
    assert found.tier is Tier(tier)
    assert found.cap == wanted.get("max_rendition")


@pytest.mark.parametrize(
    ("wanted", "network"),
    [
        ({"ip": "192.0.2.7"}, "192.0.2.0/24"),
        ({"ip": "192.0.2.7", "ip_binding": "address"}, "192.0.2.7/32"),
        ({"ip": "2001:db8:1:2:3::4"}, "2001:db8:1:2::/64"),
        ({"ip": "2001:DB8::4", "ip_binding": "address"}, "2001:db8::4/128"),
    ],
)
async def test_a_token_can_be_bound_to_where_the_viewer_is(
    api: httpx2.AsyncClient, deployment: Deployment, wanted: dict[str, str], network: str
) -> None:
    made = await issue(api, await event(api), **wanted)
    assert claims(deployment, made).network == network


@pytest.mark.parametrize(
    "wanted",
    [
        {"role": "king"},
        {"tier": "clips"},
        {"max_rendition": "8k"},
        {"max_rendition": "audio-only"},
        {"ip": "example.com"},
        {"ip": "192.0.2.0/24"},
        {"ip": "fe80::1%eth0"},
        {"ip": 7},
        {"ip": "192.0.2.7", "ip_binding": "country"},
    ],
)
async def test_what_makes_no_sense_is_refused(
    api: httpx2.AsyncClient, wanted: dict[str, Any]
) -> None:
    answer = await api.post(f"/v1/events/{await event(api)}/tokens", json=wanted)
    assert answer.status_code == 422


async def test_a_bound_token_opens_recordings_from_there_alone(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await event(api)
    path = f"vod/default/{made}/main/c0ffee/archive.mp4"
    deployment.bucket.put(path, b"film", "video/mp4")
    for ip, status in (("127.0.0.9", 200), ("192.0.2.7", 403)):
        token = await issue(api, made, ip=ip)
        assert (await viewer.get(f"/t/{token['token']}/{path}")).status_code == status
        assert (await access(viewer, made, token["token"])).status_code == status


async def test_a_changed_tier_is_told_to_nodes_and_players(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await event(api)
    ada, bob = [(await issue(api, made, subject=name))["token"] for name in ("ada", "bob")]
    first = await access(viewer, made, ada)
    assert first.headers["Cache-Control"] == "no-store"
    assert first.json() | {"expires_at": None} == {
        "role": "viewer",
        "transports": ["whep", "hls"],
        "max_rendition": None,
        "expires_at": None,
    }
    with deployment.reading() as session:
        before = session.scalars(select(Event.revision).where(Event.id == made)).one()
    answer = await change(api, made, subject="ada", tier="broadcast", max_rendition="480p")
    assert answer.status_code == 201
    assert answer.json()["tier"] == "broadcast"
    deployment.now_ms += FRESH_MS
    told = (await access(viewer, made, ada)).json()
    assert (told["transports"], told["max_rendition"]) == (["hls"], "480p")
    assert (await access(viewer, made, bob)).json()["transports"] == ["whep", "hls"]
    wanted = await desired(deployment, made)
    assert wanted["revision"] == before + 1
    (tier,) = [DesiredTier.model_validate(each) for each in wanted["tiers"]]
    assert (tier.subject, tier.tier, tier.cap) == ("ada", "broadcast", "480p")
    again = await change(api, made, subject="ada", tier="interactive")
    deployment.now_ms += FRESH_MS
    told = (await access(viewer, made, ada)).json()
    assert (told["transports"], told["max_rendition"]) == (["whep", "hls"], None)
    listed = (await api.get(f"/v1/events/{made}/tier-changes")).json()["items"]
    assert [each["id"] for each in listed] == [again.json()["id"]]


async def desired(deployment: Deployment, event: str) -> dict[str, Any]:
    """What the publisher would put on the bus."""
    publisher = DesiredPublisher(None, deployment.databases, deployment.clock)  # type: ignore[arg-type]
    wanted = await publisher._wanted(owed_only=True)
    (found,) = [record for record in wanted.records if record.field == f"event:{event}"]
    return dict(json.loads(found.json))


async def test_a_token_that_is_issued_later_says_for_itself(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await event(api)
    old = (await issue(api, made, subject="ada"))["token"]
    assert (await change(api, made, subject="ada", tier="broadcast")).status_code == 201
    new = (await issue(api, made, subject="ada", tier="interactive"))["token"]
    deployment.now_ms += FRESH_MS
    assert (await access(viewer, made, old)).json()["transports"] == ["hls"]
    assert (await access(viewer, made, new)).json()["transports"] == ["whep", "hls"]
    assert (await change(api, made, subject="ada", tier="backstage")).status_code == 201
    deployment.now_ms += FRESH_MS
    assert (await access(viewer, made, new)).json()["transports"] == ["whep"]


async def test_who_is_asked_how_one_may_watch_needs_a_good_token(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    made, public = await event(api), await event(api, "public")
    for token in (None, "rubbish", (await issue(api, public))["token"]):
        status = (await access(viewer, made, token)).status_code
        assert status == (403 if token and token != "rubbish" else 401)
        open_to_all = await access(viewer, public, token)
        assert open_to_all.json() == {
            "role": None, "transports": ["whep", "hls"], "max_rendition": None, "expires_at": None
        }  # fmt: skip
    for unknown in ("ev_none", "..%00", "A" * 300):
        assert (await access(viewer, unknown, None)).status_code == 404


async def test_there_are_only_so_many_and_old_ones_make_room(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await event(api)
    with deployment.session() as session, session.begin():
        for number in range(MAX_CHANGES):
            row = {"tier": "broadcast", "cap": None, "until_s": 0, "project": "default"}
            at, subject = deployment.now_ms, f"viewer-{number}"
            session.add(
                TierChangeRow(id=f"tc_{number}", event=made, subject=subject, created_ms=at, **row)
            )
    assert (await change(api, made, subject="ada", tier="standard")).status_code == 409
    assert (await change(api, made, subject="viewer-7", tier="standard")).status_code == 201
    deployment.now_ms += MAX_TTL_S * 1000
    assert (await change(api, made, subject="ada", tier="standard")).status_code == 201


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"subject": "ada"},
        {"tier": "standard"},
        {"subject": "", "tier": "standard"},
        {"subject": "a\u0000", "tier": "standard"},
        {"subject": "ada", "tier": "clips"},
        {"subject": "ada", "tier": "standard", "max_rendition": "8k"},
    ],
)
async def test_a_change_names_who_and_what(api: httpx2.AsyncClient, what: dict[str, Any]) -> None:
    assert (await change(api, await event(api), **what)).status_code == 422


async def test_an_event_may_offer_some_tiers_only(api: httpx2.AsyncClient) -> None:
    tiers = ["broadcast", "interactive"]
    made = (await api.post("/v1/events", json={"name": "x", "tiers": tiers})).json()
    assert made["tiers"] == tiers
    path = f"/v1/events/{made['id']}"
    assert (await issue(api, made["id"], role="host"))["tier"] == "interactive"
    assert (await issue(api, made["id"], tier="broadcast"))["transports"] == ["hls"]
    for refused in (
        await api.post(f"{path}/tokens", json={}),
        await api.post(f"{path}/tokens", json={"role": "backstage"}),
        await change(api, made["id"], subject="v", tier="backstage"),
    ):
        assert refused.status_code == 422
        assert "Send one of broadcast, interactive as tier" in refused.json()["fix"]
    for wrong in ([], ["loge"], ["broadcast", "broadcast"]):
        assert (await api.patch(path, json={"tiers": wrong})).status_code == 422
    assert (await api.patch(path, json={"tiers": None})).json()["tiers"] is None
    assert (await change(api, made["id"], subject="v", tier="backstage")).status_code == 201
