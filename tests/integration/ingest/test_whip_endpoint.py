"""The WHIP endpoint over HTTP: RFC 9725's methods, headers and refusals. No media flows here."""

from collections.abc import AsyncIterator

import pytest

from hotpath.ingest.whip_limits import WhipLimits
from hotpath.webrtc.turn import TurnServers
from infra.publishers import Role
from tests.support.ingest import entry, until
from tests.support.offers import offer, without
from tests.support.whip import FRAGMENT, SDP, Node, whip_node

pytestmark = pytest.mark.integration

A, CLOSED = entry("ev_a"), entry("ev_closed", is_open=False)
OFFER = offer("chromium-whip")


def authorised(token: str = A.whip_token) -> dict[str, str]:
    return {**SDP, "authorization": f"Bearer {token}"}


async def created(node: Node) -> tuple[str, str]:
    """(URL, ETag) of a new session."""
    response = await node.http.post(node.url("ev_a"), content=OFFER, headers=authorised())
    assert response.status_code == 201
    return node.base + response.headers["location"], response.headers["etag"]


async def test_an_offer_is_answered_with_a_session_resource() -> None:
    turn = TurnServers(("turn:t.example:3478", "turns:t.example:5349"), b"shared")
    async with whip_node(A, turn=turn) as node:
        response = await node.http.post(node.url("ev_a"), content=OFFER, headers=authorised())
        assert response.status_code == 201
        assert response.headers["content-type"] == "application/sdp"
        assert response.headers["location"].startswith("/whip/ev_a/")
        assert response.headers["etag"].startswith('"')
        assert response.headers["accept-patch"] == FRAGMENT["content-type"]
        assert response.headers["access-control-allow-origin"] == "*"
        links = response.headers.get_list("link")
        assert [link.partition(">")[0] for link in links] == [
            "<turn:t.example:3478",
            "<turns:t.example:5349",
        ]
        assert all('rel="ice-server"' in link and "credential=" in link for link in links)
        assert "a=ice-lite" in response.text
        assert "a=recvonly" in response.text
        assert f" {node.mux.port} typ host" in response.text


@pytest.mark.parametrize(
    ("event", "token", "reason"),
    [
        ("ev_unknown", A.whip_token, "unknown-event"),
        ("ev_a", "k1.1.guess", "bad-key"),
        ("ev_a", A.key, "bad-key"),
        ("ev_a", entry("ev_a", generation=2).whip_token, "rotated-key"),
    ],
)
async def test_without_the_token_nobody_learns_whether_the_event_exists(
    event: str, token: str, reason: str
) -> None:
    async with whip_node(A) as node:
        expected = await node.http.post(node.url("ev_a"), content=OFFER, headers=SDP)
        got = await node.http.post(node.url(event), content=OFFER, headers=authorised(token))
        assert (got.status_code, got.json()) == (401, expected.json())
        assert got.headers["www-authenticate"].startswith("Bearer")
        assert got.headers["content-type"] == "application/problem+json"
        assert [r.reason for r in node.sink.refusals] == ["bad-key", reason]
        assert node.sink.refusals[-1].peer.startswith("127.0.0.1:")
        assert node.ingest.refusals[reason] >= 1
        assert node.mux.peers == 0


async def test_a_closed_event_takes_nobody() -> None:
    async with whip_node(CLOSED) as node:
        url, headers = node.url("ev_closed"), authorised(CLOSED.whip_token)
        response = await node.http.post(url, content=OFFER, headers=headers)
        assert response.status_code == 403
        assert response.json()["type"] == "urn:livepath:problem:event-closed"


@pytest.mark.parametrize(
    ("body", "headers", "status", "slug"),
    [
        (OFFER, {"content-type": "text/plain"}, 415, "content-type"),
        ("v=0\r\n", SDP, 400, "bad-sdp"),
        (b"\xff\xfe", SDP, 400, "bad-sdp"),
        ("a" * 70_000, SDP, 413, "too-large"),
        (OFFER.replace(" H264/90000", " H263/90000"), SDP, 406, "codec"),
        (without(OFFER, "a=fingerprint"), SDP, 400, "bad-sdp"),
    ],
    ids=["type", "no-media", "bytes", "large", "codec", "fingerprint"],
)
async def test_an_offer_that_cannot_be_used_is_refused_with_its_fix(
    body: str | bytes, headers: dict[str, str], status: int, slug: str
) -> None:
    async with whip_node(A) as node:
        headers = {"authorization": f"bearer {A.whip_token}", **headers}
        response = await node.http.post(node.url("ev_a"), content=body, headers=headers)
        problem = response.json()
        assert (response.status_code, problem["type"]) == (status, f"urn:livepath:problem:{slug}")
        assert problem["fix"]
        assert node.mux.peers == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_methods_that_mean_nothing_are_refused(method: str) -> None:
    async with whip_node(A) as node:
        url, _ = await created(node)
        for target in (node.url("ev_a"), url):
            response = await node.http.request(method, target)
            assert response.status_code == 405
            assert "OPTIONS" in response.headers["allow"]


async def test_options_say_what_is_accepted_and_let_pages_of_others_in() -> None:
    async with whip_node(A) as node:
        endpoint = await node.http.options(node.url("ev_a"))
        session = await node.http.options(node.url("ev_a") + "/any")
        assert endpoint.headers["accept-post"] == "application/sdp"
        assert session.headers["accept-patch"] == FRAGMENT["content-type"]
        assert "PATCH" in session.headers["access-control-allow-methods"]
        for response in (endpoint, session):
            assert response.is_success
            assert response.headers["access-control-allow-origin"] == "*"
            assert "authorization" in response.headers["access-control-allow-headers"]


def fragment(ufrag: str, pwd: str) -> str:
    lines = [
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{pwd}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
    ]
    return "\r\n".join(lines) + "\r\n"


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"a={name}:"))


async def test_candidates_are_trickled_and_ice_is_restarted() -> None:
    offered = [line_of(OFFER, n).partition(":")[2] for n in ("ice-ufrag", "ice-pwd")]
    async with whip_node(A) as node:
        url, etag = await created(node)
        match = {**FRAGMENT, "if-match": etag}
        trickled = await node.http.patch(url, content=fragment(*offered), headers=match)
        assert (trickled.status_code, trickled.headers["etag"]) == (204, etag)

        again = fragment("newufrag", "a-new-password-of-some-length")
        restarted = await node.http.patch(url, content=again, headers={**FRAGMENT, "if-match": "*"})
        assert restarted.status_code == 200
        assert restarted.headers["content-type"] == FRAGMENT["content-type"]
        assert restarted.headers["etag"] != etag
        assert line_of(restarted.text, "ice-ufrag") != "a=ice-ufrag:newufrag"
        assert f" {node.mux.port} typ host" in restarted.text

        stale = await node.http.patch(url, content=again, headers=match)
        assert stale.status_code == 412
        match = {**FRAGMENT, "if-match": restarted.headers["etag"]}
        assert (await node.http.patch(url, content=again, headers=match)).status_code == 204


async def test_a_patch_must_say_which_ice_session_it_means_and_be_a_fragment() -> None:
    async with whip_node(A) as node:
        url, etag = await created(node)
        good = fragment("newufrag", "a-new-password-of-some-length")
        for headers, body, status in (
            (FRAGMENT, good, 428),
            ({**FRAGMENT, "if-match": '"other"'}, good, 412),
            ({**SDP, "if-match": etag}, good, 415),
            ({**FRAGMENT, "if-match": etag}, "nothing", 400),
        ):
            response = await node.http.patch(url, content=body, headers=headers)
            assert response.status_code == status
        unknown = await node.http.patch(url[:-3], content=good, headers=FRAGMENT)
        assert unknown.status_code == 404


async def test_delete_ends_the_session_and_its_peer() -> None:
    async with whip_node(A) as node:
        url, _ = await created(node)
        other = url.replace("ev_a", "ev_b")
        assert (await node.http.delete(other)).status_code == 404
        assert node.mux.peers == 1
        assert (await node.http.delete(url)).status_code == 200
        assert node.mux.peers == 0
        assert (await node.http.delete(url)).status_code == 404
        assert node.sink.order == []


async def test_a_newer_offer_replaces_one_that_never_connected() -> None:
    async with whip_node(A) as node:
        first, _ = await created(node)
        await created(node)
        assert node.mux.peers == 1
        assert (await node.http.delete(first)).status_code == 404


async def test_whom_the_table_no_longer_admits_loses_the_session() -> None:
    async with whip_node(A) as node:
        await created(node)
        node.ingest.set_table([entry("ev_a", generation=2)])
        await until(lambda: node.mux.peers == 0)


async def test_an_event_published_by_srt_is_busy_unless_it_may_be_taken_over() -> None:
    free = entry("ev_free", takeover=True)
    async with whip_node(A, free) as node:
        node.ingest.set_occupied("ev_a", Role.PRIMARY, True)
        node.ingest.set_occupied("ev_free", Role.PRIMARY, True)
        busy = await node.http.post(node.url("ev_a"), content=OFFER, headers=authorised())
        assert busy.status_code == 409
        assert int(busy.headers["retry-after"]) > 0
        token = authorised(free.whip_token)
        taken = await node.http.post(node.url("ev_free"), content=OFFER, headers=token)
        assert taken.status_code == 201
        other = node.url("ev_a") + "?role=backup"
        assert (await node.http.post(other, content=OFFER, headers=authorised())).status_code == 201


async def test_primary_and_backup_wait_side_by_side() -> None:
    async with whip_node(A) as node:
        await created(node)
        backup = node.url("ev_a") + "?role=backup"
        answer = await node.http.post(backup, content=OFFER, headers=authorised())
        assert answer.status_code == 201
        assert node.mux.peers == 2


@pytest.mark.parametrize("query", ["role=", "role=third", "role=backup&role=backup", "role=BACKUP"])
async def test_an_unknown_role_is_a_problem(query: str) -> None:
    async with whip_node(A) as node:
        url = f"{node.url('ev_a')}?{query}"
        answer = await node.http.post(url, content=OFFER, headers=authorised())
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert "role=backup" in answer.json()["fix"]
        assert node.mux.peers == 0


async def test_a_full_node_and_an_address_that_tries_too_often_are_told_to_wait() -> None:
    other = entry("ev_b")
    async with whip_node(A, other, limits=WhipLimits(publishers=1)) as node:
        await created(node)
        headers = authorised(other.whip_token)
        full = await node.http.post(node.url("ev_b"), content=OFFER, headers=headers)
        assert (full.status_code, full.headers["retry-after"]) == (503, "30")
    limits = WhipLimits(connects_per_s=0.01, connect_burst=2)
    async with whip_node(A, limits=limits) as node:
        answers = [await node.http.post(node.url("ev_a"), headers=SDP) for _ in range(5)]
        assert [a.status_code for a in answers] == [401, 401, 503, 503, 503]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert [r.reason for r in node.sink.refusals] == ["bad-key", "bad-key", "over-limit"]
        assert node.ingest.refusals["over-limit"] == 3


async def test_a_session_that_ends_while_a_patch_comes_in_is_gone() -> None:
    async with whip_node(A) as node:
        url, etag = await created(node)

        async def body() -> AsyncIterator[bytes]:
            yield b"a=ice-ufrag:anew\r\n"
            assert (await node.http.delete(url)).status_code == 200
            yield b"a=ice-pwd:" + b"p" * 24 + b"\r\n"

        headers = {**FRAGMENT, "if-match": etag}
        assert (await node.http.patch(url, content=body(), headers=headers)).status_code == 404
        assert node.mux._table.by_ufrag == {}
