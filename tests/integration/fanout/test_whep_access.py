"""Who may watch by WHEP: tokens, tiers and their changes, places on a full node."""

from typing import Any

import httpx2
import pytest

from hotpath.fanout.limits import Limits
from infra.auth.policy import Role, Tier
from infra.auth.revocation import Revoked
from infra.auth.tier_changes import TierChange, TierChanges
from infra.keys import ProgramKey
from infra.proxies import Proxies
from tests.support.fanout import KEY, SECRETS, Plane, running_plane, token, watching
from tests.support.whep_http import SDP_HEADERS, bearing, problem

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        (None, 401),
        ({"expires_at": 900}, 401),
        ({"event": "ev_2", "path_prefix": "/live/acme/ev_2"}, 403),
        ({}, 201),
    ],
)
async def test_an_event_that_needs_a_token(
    plane: Plane, offer: str, claims: dict[str, Any] | None, status: int
) -> None:
    plane.open(access="token")
    headers = dict(SDP_HEADERS)
    if claims is not None:
        headers["authorization"] = f"Bearer {token(**claims)}"
    response = await plane.client.post(plane.whep, content=offer, headers=headers)
    assert response.status_code == status
    if status != 201:
        problem(response)
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"


async def test_a_revoked_token_ends_its_sessions_alone(plane: Plane) -> None:
    plane.open(access="token")
    first = {"authorization": f"Bearer {token()}"}
    second = {"authorization": f"Bearer {token(token_id='t2')}"}
    async with watching(plane, headers=first) as gone, watching(plane, headers=second) as stays:
        plane.access.set(SECRETS, {}, {"ev_1": Revoked(tokens=frozenset({"t1"}))})
        assert plane.service.recheck() == 1
        assert set(plane.service.sessions) == {stays.session_id}
        assert (await plane.client.delete(gone.url)).status_code == 404


async def test_a_session_ends_with_what_let_it_in(plane: Plane) -> None:
    plane.open(access="token")
    other = ProgramKey("acme", "ev_2")
    plane.open(other)
    async with (
        watching(plane, headers={"authorization": f"Bearer {token()}"}),
        watching(plane, f"{plane.url}/live/{other}/whep") as public,
    ):
        assert plane.service.recheck() == 0
        plane.access.set({"acme": {"k2": b"another secret of 32 bytes......"}}, {})
        assert plane.service.recheck() == 1
        assert set(plane.service.sessions) == {public.session_id}
        plane.access.set(SECRETS, {"ev_2": "token"})
        assert plane.service.recheck() == 1
    assert plane.service.viewers.left == {"token": 2}


@pytest.mark.parametrize(
    ("limits", "slug"),
    [
        (Limits(viewers=1), "node-full"),
        (Limits(viewers_per_event=1), "event-full"),
        (Limits(viewers_per_address=1), "address-full"),
        (Limits(joins_per_second=1, join_burst=1), "join-rate"),
        (Limits(address_joins_per_second=1, address_join_burst=1), "address-rate"),
        (Limits(address_connecting=1), "address-connecting"),
    ],
)
async def test_past_the_limit_a_join_is_refused_towards_hls(
    offer: str, limits: Limits, slug: str
) -> None:
    async with running_plane(limits=limits) as plane:
        plane.open()
        first = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
        assert first.status_code == 201
        refused = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert problem(refused)["type"].endswith(slug)
        target, _, about = refused.headers["link"].partition(";")
        assert httpx2.URL(plane.whep).join(target.strip("<>")).path == f"/live/{KEY}/index.m3u8"
        assert 'rel="alternate"; type="application/vnd.apple.mpegurl"' in about
        assert plane.service.viewers.joins[slug] == 1


async def test_who_shares_no_address_with_a_flood_gets_in(offer: str) -> None:
    limits = Limits(address_joins_per_second=1, address_join_burst=2, joins_per_second=4)
    async with running_plane(limits=limits, proxies=Proxies(["127.0.0.1"])) as plane:
        plane.open()

        async def join(address: str) -> int:
            headers = {**SDP_HEADERS, "x-forwarded-for": address}
            return (await plane.client.post(plane.whep, content=offer, headers=headers)).status_code

        assert [await join("2001:db8:1:2::7") for _ in range(3)] == [201, 201, 503]
        assert await join("2001:db8:1:2::8") == 503
        assert await join("2001:db8:1:3::7") == 201


async def test_a_session_that_connects_makes_room_for_one_that_has_not(offer: str) -> None:
    async with running_plane(limits=Limits(address_connecting=1)) as plane:
        plane.play()

        async def join() -> httpx2.Response:
            return await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)

        async with watching(plane) as viewer:
            await viewer.frames("video", 1)
            waiting = await join()
            assert waiting.status_code == 201
            assert (await join()).status_code == 503
            there = httpx2.URL(plane.whep).join(waiting.headers["location"])
            assert (await plane.client.delete(there)).status_code == 200
            assert (await join()).status_code == 201


async def test_a_node_that_drains_takes_nobody_in_and_keeps_who_watches(offer: str) -> None:
    async with running_plane() as plane:
        plane.play()
        async with watching(plane) as viewer:
            await viewer.frames("video", 5)
            plane.service.drain("node-stopping")
            refused = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
            assert refused.status_code == 503
            assert problem(refused)["type"].endswith("draining")
            assert int(refused.headers["retry-after"]) >= 1
            assert 'rel="alternate"' in refused.headers["link"]
            assert plane.service.viewers.joins["draining"] == 1
            await viewer.frames("video", 30)
            # Its programmes go before it does, and are not over for that.
            plane.service.close(KEY)
            refused = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
            assert problem(refused)["type"].endswith("draining")


async def test_a_tier_without_webrtc_is_sent_to_hls(plane: Plane, offer: str) -> None:
    plane.open(access="token")
    headers = bearing(tier=Tier.BROADCAST)
    refused = await plane.client.post(plane.whep, content=offer, headers=headers)
    assert refused.status_code == 403
    assert problem(refused)["type"] == "urn:livepath:problem:tier"
    target, _, about = refused.headers["link"].partition(";")
    assert httpx2.URL(plane.whep).join(target.strip("<>")).path == f"/live/{KEY}/index.m3u8"
    assert 'rel="alternate"' in about
    assert "link" in refused.headers["access-control-expose-headers"]
    assert plane.service.viewers.joins["tier"] == 1


@pytest.mark.parametrize("access", ["token", "public"])
@pytest.mark.parametrize(
    ("limits", "slug"),
    [(Limits(viewers=2), "node-full"), (Limits(viewers_per_event=2), "event-full")],
)
async def test_a_full_node_gives_the_place_of_who_came_last_to_who_has_a_higher_priority(
    offer: str, limits: Limits, slug: str, access: str
) -> None:
    async with running_plane(limits=limits) as plane:
        plane.open(access=access)

        async def join(**claims: Any) -> httpx2.Response:
            return await plane.client.post(plane.whep, content=offer, headers=bearing(**claims))

        first, second = [(await join()).headers["location"] for _ in range(2)]
        channel = plane.service.sessions[second.rpartition("/")[2]].channel
        same = await join()
        assert same.status_code == 503
        assert problem(same)["type"].endswith(slug)
        assert (await join(role=Role.HOST)).status_code == 201
        assert set(plane.service.sessions) > {first.rpartition("/")[2]}
        told = b"".join([chunk async for chunk in channel.stream(1)]).decode()
        assert 'event: fallback\ndata: {"reason":"place-taken"' in told
        assert (await join(role=Role.INTERACTIVE)).status_code == 201
        assert (await join(role=Role.INTERACTIVE)).status_code == 503
        assert (await join(role=Role.BACKSTAGE)).status_code == 201
        assert plane.service.viewers.left == {"place-taken": 3}
        assert sorted(s.rights.priority for s in plane.service.sessions.values()) == [2, 4]


async def test_a_token_that_is_passed_around_empties_no_node(offer: str) -> None:
    async with running_plane(limits=Limits(viewers=5)) as plane:
        plane.open(access="token")

        async def join(**claims: Any) -> int:
            headers = bearing(**claims)
            answer = await plane.client.post(plane.whep, content=offer, headers=headers)
            return answer.status_code

        assert [await join() for _ in range(5)] == [201] * 5
        host = [await join(role=Role.HOST) for _ in range(4)]
        assert host == [201, 201, 201, 503]
        assert await join(role=Role.HOST, token_id="t2") == 201


async def test_nobody_gives_a_place_that_would_not_help(offer: str) -> None:
    limits = Limits(viewers=1, joins_per_second=1, join_burst=1)
    async with running_plane(limits=limits) as plane:
        plane.open(access="token")
        made = await plane.client.post(plane.whep, content=offer, headers=bearing())
        assert made.status_code == 201
        host = bearing(role=Role.HOST)
        refused = await plane.client.post(plane.whep, content=offer, headers=host)
        assert problem(refused)["type"].endswith("join-rate")
        assert set(plane.service.sessions) == {made.headers["location"].rpartition("/")[2]}


async def test_a_changed_tier_is_obeyed_by_the_running_session(plane: Plane, offer: str) -> None:
    plane.open(access="token")
    first, second = bearing(subject="ada"), bearing(subject="bob")
    for headers in (first, second):
        made = await plane.client.post(plane.whep, content=offer, headers=headers)
        assert made.status_code == 201
    down = TierChanges.of([TierChange("ada", Tier.BROADCAST, None, 0)])
    plane.access.set(SECRETS, {}, {}, {"ev_1": down})
    assert plane.service.recheck() == 1
    assert plane.service.viewers.left == {"tier": 1}
    again = await plane.client.post(plane.whep, content=offer, headers=first)
    assert again.status_code == 403
    up = TierChanges.of([TierChange("ada", Tier.INTERACTIVE, "480p", 0)])
    plane.access.set(SECRETS, {}, {}, {"ev_1": up})
    assert plane.service.recheck() == 0
    again = await plane.client.post(plane.whep, content=offer, headers=first)
    assert again.status_code == 201
    rights = {(s.rights.cap, s.rights.priority) for s in plane.service.sessions.values()}
    assert rights == {("480p", 1), (None, 0)}


@pytest.mark.parametrize(
    ("network", "forwarded", "status"),
    [
        ("127.0.0.0/24", None, 201),
        ("192.0.2.0/24", None, 403),
        ("192.0.2.0/24", "192.0.2.7", 201),
        ("192.0.2.0/24", "192.0.2.7, 198.51.100.1", 403),
        ("127.0.0.0/24", "192.0.2.7", 403),
    ],
)
async def test_a_bound_token_is_good_from_its_network(
    offer: str, network: str, forwarded: str | None, status: int
) -> None:
    async with running_plane(proxies=Proxies(["127.0.0.1"])) as plane:
        plane.open(access="token")
        headers = bearing(network=network)
        if forwarded is not None:
            headers["x-forwarded-for"] = forwarded
        answer = await plane.client.post(plane.whep, content=offer, headers=headers)
        assert answer.status_code == status
        assert plane.service.recheck() == 0
