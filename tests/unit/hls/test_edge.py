"""What an edge is told, and what it is let through to."""

from typing import Any

import pytest

from hotpath.hls.edge import Edge
from hotpath.hls.exchange import Request, Response
from hotpath.hls.origin import HlsOrigin
from infra.auth import tokens
from infra.auth.policy import Tier
from infra.auth.tokens import ViewerClaims
from infra.keys import ProgramKey

SECRET = "a-secret-of-edges"
KEY, NOW, CHECK_S = b"0" * 32, 1_000_000, 5
FEED = "/live/acme/ev_1/main"


class Noting(HlsOrigin):
    """An origin that tells which requests reach it."""

    def __init__(self, now: list[int]) -> None:
        super().__init__(clock_s=lambda: now[0])
        self.requests: list[Request] = []

    def receive(self, request: Request) -> bool:
        self.requests.append(request)
        return True


@pytest.fixture
def now() -> list[int]:
    return [NOW]


@pytest.fixture
def origin(now: list[int]) -> Noting:
    made = Noting(now)
    made.set_access({"acme": {"k1": KEY}}, {"ev_1": "token", "ev_open": "public"})
    return made


def token(
    *, event: str = "ev_1", prefix: str = "/live/acme/ev_1", lasts_s: int = 60, **more: Any
) -> str:
    claims = ViewerClaims("acme", event, prefix, "viewer", NOW, NOW + lasts_s, "t1", **more)
    return tokens.issue(claims, KEY, "k1")


def answer(
    origin: Noting, path: str, secret: str | None = SECRET, viewer: str | None = None
) -> Response:
    """The edge's own."""
    sent: list[Response] = []
    headers = {} if secret is None else {b"x-livepath-edge": secret.encode()}
    if viewer is not None:
        headers[b"x-livepath-viewer"] = viewer.encode()
    assert Edge(origin, SECRET, CHECK_S).receive(Request("GET", path, "", headers, sent.append))
    return sent[0]


def ask(origin: Noting, path: str, secret: str | None = SECRET) -> tuple[int, str, str]:
    """Status, Cache-Control and body of it."""
    response = answer(origin, path, secret)
    age = dict(response.headers)[b"cache-control"].decode()
    return response.status, age, response.body.decode()


def test_a_yes_lasts_for_the_time_of_a_check(origin: Noting) -> None:
    assert ask(origin, f"/edge/check/t/{token()}{FEED}") == (204, "public, max-age=5", "")


def test_a_yes_does_not_outlast_the_token(origin: Noting) -> None:
    status, age, _ = ask(origin, f"/edge/check/t/{token(lasts_s=2)}{FEED}")
    assert (status, age) == (204, "public, max-age=2")


def test_an_expired_token_is_refused(origin: Noting, now: list[int]) -> None:
    asked = f"/edge/check/t/{token(lasts_s=2)}{FEED}"
    assert ask(origin, asked)[0] == 204
    now[0] += 2
    status, age, reason = ask(origin, asked)
    assert (status, age) == (401, "public, max-age=1")
    assert "expired" in reason


def test_a_secret_taken_back_ends_what_it_signed(origin: Noting) -> None:
    asked = f"/edge/check/t/{token()}{FEED}"
    assert ask(origin, asked)[0] == 204
    origin.set_access({"acme": {"k2": KEY}}, {"ev_1": "token"})
    assert ask(origin, asked)[0] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (FEED, 401),
        (f"/t/rubbish{FEED}", 401),
        ("/live/acme/ev_open/main", 204),
        ("/t/rubbish/live/acme/ev_open/main", 204),
        ("/live/acme/unknown/main", 401),
        ("/live/acme/ev_open", 404),
        ("/live/acme/ev_open/main/video.m3u8", 404),
        ("/metrics", 404),
    ],
)
def test_who_may_watch(origin: Noting, path: str, status: int) -> None:
    assert (ask(origin, "/edge/check" + path))[0] == status


def test_a_token_for_another_event_is_refused(origin: Noting) -> None:
    other = token(event="ev_2", prefix="/live/acme/ev_2")
    assert (ask(origin, f"/edge/check/t/{other}{FEED}"))[0] == 403


def test_what_is_off_the_table_is_as_it_went_on_the_air(origin: Noting) -> None:
    origin.open(
        ProgramKey("acme", "ev_old"), "k1", access="public", part_target_ms=215, target_duration_s=2
    )
    assert (ask(origin, "/edge/check/live/acme/ev_old/main"))[0] == 204


@pytest.mark.parametrize("secret", [None, "", "another-secret-of-edges"])
def test_without_the_secret_nobody_is_told_anything(origin: Noting, secret: str | None) -> None:
    for path in ("", "/live/acme/ev_open/main"):
        assert ask(origin, "/edge/check" + path, secret)[0] == 403


def test_the_secret_can_be_tried(origin: Noting) -> None:
    assert (ask(origin, "/edge/check"))[0] == 204


@pytest.mark.parametrize(("secret", "passed"), [(SECRET, True), ("a-secret-of-others", False)])
def test_only_an_edge_is_let_past_the_check(origin: Noting, secret: str, passed: bool) -> None:
    headers = {b"host": b"h", b"x-livepath-edge": secret.encode()}
    request = Request("GET", FEED + "/video.m3u8", "", headers, lambda _: None)
    assert Edge(origin, SECRET, CHECK_S).receive(request)
    assert origin.requests == [request]
    assert request.edge is passed


@pytest.mark.parametrize(
    ("viewer", "status"),
    [("192.0.2.7", 204), ("192.0.2.200", 204), ("192.0.3.7", 403), ("", 403), (None, 403)],
)
def test_a_bound_token_is_answered_for_the_viewers_address(
    origin: Noting, viewer: str | None, status: int
) -> None:
    path = f"/edge/check/t/{token(network='192.0.2.0/24')}{FEED}"
    response = answer(origin, path, viewer=viewer)
    assert response.status == status
    assert dict(response.headers)[b"vary"] == b"x-livepath-viewer"
    free = answer(origin, f"/edge/check/t/{token()}{FEED}", viewer=viewer)
    assert b"vary" not in dict(free.headers)


def test_an_edge_is_told_the_cap(origin: Noting) -> None:
    headers = dict(answer(origin, f"/edge/check/t/{token(cap='720p')}{FEED}").headers)
    assert headers[b"x-livepath-cap"] == b"720p"
    assert headers[b"x-livepath-beyond"] == b",,"  # nothing is on the air
    assert b"x-livepath-cap" not in dict(answer(origin, f"/edge/check/t/{token()}{FEED}").headers)


@pytest.mark.parametrize(("tier", "status"), [(Tier.BROADCAST, 204), (Tier.BACKSTAGE, 403)])
def test_a_tier_without_ll_hls_is_refused(origin: Noting, tier: Tier, status: int) -> None:
    assert ask(origin, f"/edge/check/t/{token(tier=tier)}{FEED}")[0] == status


def test_there_is_no_edge_without_a_secret(origin: Noting) -> None:
    with pytest.raises(ValueError, match="secret"):
        Edge(origin, "", CHECK_S)
