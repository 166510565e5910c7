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


async def test_problems_are_json_that_can_be_read(plane: Plane) -> None:
    response = await plane.client.get(f"{plane.url}/live/nothing")
    assert json.loads(response.content)["status"] == 404
