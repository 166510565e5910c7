"""WHEP's HTTP: status codes, headers and bodies, over a real server."""

import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from hotpath.fanout.whep import FRAGMENT, SDP
from hotpath.webrtc.turn import TurnServers
from tests.support.fanout import KEY, Plane, running_plane, watching
from tests.support.whep_http import SDP_HEADERS, problem

pytestmark = pytest.mark.integration


async def test_an_offer_is_answered_with_a_session(plane: Plane, offer: str) -> None:
    plane.open()
    response = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
    assert response.status_code == 201
    assert response.headers["content-type"] == SDP
    assert response.headers["etag"].startswith('"')
    assert "location" in response.headers["access-control-expose-headers"]
    location = httpx2.URL(plane.whep).join(response.headers["location"])
    assert str(location).startswith(f"{plane.whep}/")
    assert len(location.path.rpartition("/")[2]) >= 22  # 128 bits in base64
    assert f"a=fingerprint:{plane.service.mux.fingerprint}" in response.text
    assert f" {plane.service.mux.port} typ host" in response.text
    link = response.headers["link"]
    assert 'rel="urn:ietf:params:whep:ext:core:server-sent-events"' in link
    assert link.startswith(f"<{response.headers['location']}/events>")


async def test_the_programme_may_have_no_media_yet_and_other_methods_are_refused(
    plane: Plane, offer: str
) -> None:
    plane.open()
    refused = await plane.client.put(plane.whep, content=offer, headers=SDP_HEADERS)
    assert problem(refused)["status"] == 405


@pytest.mark.parametrize(
    ("body", "content_type", "status", "slug"),
    [
        ("v=0", "text/plain", 415, "content-type"),
        ("not sdp", SDP, 400, "bad-sdp"),
        ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", SDP, 400, "bad-sdp"),
        ("x" * 70_000, SDP, 413, "too-large"),
        (b"\xff\xfe", SDP, 400, "bad-sdp"),
    ],
)
async def test_a_body_that_is_no_offer_is_refused_in_words(
    plane: Plane, body: str, content_type: str, status: int, slug: str
) -> None:
    plane.open()
    headers = {"content-type": content_type}
    response = await plane.client.post(plane.whep, content=body, headers=headers)
    assert response.status_code == status
    assert problem(response)["type"].endswith(slug)
    assert not plane.service.sessions


async def test_without_a_usable_codec_the_answer_says_what_there_is(
    plane: Plane, offer: str
) -> None:
    plane.open()
    without = offer.replace("H264/90000", "XYZ/90000")
    response = await plane.client.post(plane.whep, content=without, headers=SDP_HEADERS)
    assert response.status_code == 406
    assert "H.264" in problem(response)["fix"]


async def test_what_is_not_on_the_air_is_not_found(plane: Plane, offer: str) -> None:
    response = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
    assert response.status_code == 404
    assert response.headers["retry-after"] == "2"
    assert "yet" in problem(response)["detail"]
    plane.open()
    plane.service.close(KEY)
    response = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
    assert response.status_code == 404
    assert "retry-after" not in response.headers
    assert "over" in problem(response)["detail"]
    bad = f"{plane.url}/live/ACME/ev%2F1/main/whep"
    assert (await plane.client.post(bad, content=offer, headers=SDP_HEADERS)).status_code == 404


async def test_preflights_and_what_is_accepted(plane: Plane) -> None:
    endpoint = await plane.client.options(plane.whep)
    assert endpoint.status_code == 200
    assert endpoint.headers["accept-post"] == SDP
    assert "POST" in endpoint.headers["access-control-allow-methods"]
    assert "authorization" in endpoint.headers["access-control-allow-headers"]
    session = await plane.client.options(f"{plane.whep}/x")
    assert "if-match" in session.headers["access-control-allow-headers"]
    assert "PATCH" in session.headers["access-control-allow-methods"]


async def test_delete_ends_the_session_whatever_the_etag(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer:
        response = await plane.client.delete(viewer.url, headers={"if-match": '"other"'})
        assert response.status_code == 200
        assert not plane.service.sessions
        assert problem(await plane.client.delete(viewer.url))["status"] == 404
    assert plane.service.viewers.left == {"left": 1}


FOUND = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n"
NEW = FOUND.format("newfrag1", "a" * 24)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, NEW, 428),
        ({"if-match": '"other"'}, NEW, 412),
        ({"if-match": "*"}, "nonsense", 400),
        ({"if-match": "*", "content-type": "text/plain"}, NEW, 415),
        ({"if-match": "*"}, NEW, 200),
    ],
)
async def test_patch_checks_what_it_is_about(
    plane: Plane, headers: dict[str, str], body: str, status: int
) -> None:
    plane.open()
    async with watching(plane) as viewer:
        headers = {"content-type": FRAGMENT} | headers
        response = await plane.client.patch(viewer.url, content=body, headers=headers)
        assert response.status_code == status
        if status >= 400:
            problem(response)


async def test_a_session_that_ends_while_a_patch_comes_in_is_gone(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer:
        new = NEW.encode()

        async def body() -> AsyncIterator[bytes]:
            yield new[:10]
            assert (await plane.client.delete(viewer.url)).status_code == 200
            yield new[10:]

        headers = {"content-type": FRAGMENT, "if-match": "*"}
        response = await plane.client.patch(viewer.url, content=body(), headers=headers)
        assert response.status_code == 404
        assert plane.service.mux._table.by_ufrag == {}


async def test_trickled_candidates_are_taken_quietly(plane: Plane, offer: str) -> None:
    plane.open()
    async with watching(plane) as viewer:
        body = (
            "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
            "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
            "a=candidate:nonsense\r\na=end-of-candidates\r\n"
        )
        headers = {"content-type": FRAGMENT, "if-match": viewer.response.headers["etag"]}
        response = await plane.client.patch(viewer.url, content=body, headers=headers)
        assert (response.status_code, response.content) == (204, b"")
        assert "etag" not in response.headers


async def test_an_ice_restart_brings_new_credentials_and_a_new_etag(plane: Plane) -> None:
    plane.open()
    async with watching(plane) as viewer:
        old = viewer.response.headers["etag"]
        headers = {"content-type": FRAGMENT, "if-match": "*"}
        response = await plane.client.patch(viewer.url, content=NEW, headers=headers)
        assert response.headers["content-type"] == FRAGMENT
        new = response.headers["etag"]
        assert new != old
        assert f"a=ice-ufrag:{new.strip(chr(34))}" in response.text
        assert "a=candidate:" in response.text
        listed = {"content-type": FRAGMENT, "if-match": f'"other", {new}'}
        again = await plane.client.patch(viewer.url, content=NEW, headers=listed)
        assert again.status_code == 204
        stale = await plane.client.patch(
            viewer.url, content=NEW, headers={"content-type": FRAGMENT, "if-match": old}
        )
        assert stale.status_code == 412


async def test_turn_servers_are_named_with_credentials(offer: str) -> None:
    turn = TurnServers(["turn:turn.example:3478?transport=udp"], b"north")
    async with running_plane(turn=turn) as plane:
        plane.open()
        response = await plane.client.post(plane.whep, content=offer, headers=SDP_HEADERS)
        ice = next(link for link in response.headers.get_list("link") if "ice-server" in link)
    assert ice.startswith('<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="')
    assert 'credential-type="password"' in ice


<<<<<<< HEAD
=======
@pytest.mark.parametrize(
    ("limits", "slug"),
    [
        (Limits(viewers=1), "node-full"),
        (Limits(viewers_per_event=1), "event-full"),
        (Limits(viewers_per_address=1), "address-full"),
        (Limits(joins_per_second=1, join_burst=1), "join-rate"),
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


def bearing(**claims: Any) -> dict[str, str]:
    return SDP_HEADERS | {"authorization": f"Bearer {token(**claims)}"}


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


>>>>>>> 83611e9 (wip)
async def test_problems_are_json_that_can_be_read(plane: Plane) -> None:
    response = await plane.client.get(f"{plane.url}/live/nothing")
    assert json.loads(response.content)["status"] == 404
