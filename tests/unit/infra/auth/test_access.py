"""Viewer tokens in the URL: who may read what, decided offline."""

import pytest

from infra.auth.access import Access, Denied
from infra.auth.revocation import Revoked
from infra.auth.tokens import ViewerClaims, issue

SECRET = b"s" * 32
PATH = "/live/acme/ev_1/main/index.m3u8"


def token(
    event: str = "ev_1", *, prefix: str | None = None, expires: int = 1000, secret: bytes = SECRET
) -> str:
    claims = ViewerClaims("acme", event, prefix or f"/live/acme/{event}", "viewer", 0, expires, "t")
    return issue(claims, secret, "k1")


class Clock:
    now = 10

    def __call__(self) -> int:
        return self.now


def access(clock: Clock | None = None, **changes: int) -> Access:
    table = Access(clock or Clock(), **changes)
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "token", "ev_2": "token", "ev_3": "public"})
    return table


def status(decision: Denied | None) -> int | None:
    return None if decision is None else decision.status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, 401),
        ("", 401),
        ("garbage", 401),
        (token(), None),
        (token(expires=10), 401),
        (token(secret=b"x" * 32), 401),
        (token("ev_2"), 403),
        (token(prefix="/live/acme/ev_1/backup"), 403),
        (token(prefix="/live/acme/ev_1/main"), None),
    ],
)
def test_what_a_token_opens(given: str | None, expected: int | None) -> None:
    assert status(access().check("acme", "ev_1", PATH, given, "token")) == expected


def test_a_public_event_needs_no_token() -> None:
    table = access()
    assert table.check("acme", "ev_3", "/live/acme/ev_3/main/x", None, "token") is None
    assert table.check("acme", "ev_3", "/live/acme/ev_3/main/x", "old", "token") is None


def test_an_event_that_the_table_lacks_keeps_the_access_it_was_opened_with() -> None:
    table = access()
    assert table.check("acme", "ev_9", "/live/acme/ev_9/main/x", None, "public") is None
    assert status(table.check("acme", "ev_9", "/live/acme/ev_9/main/x", None, "token")) == 401


def test_a_token_that_is_remembered_still_expires() -> None:
    clock = Clock()
    table = access(clock)
    given = token(expires=20)
    assert table.check("acme", "ev_1", PATH, given, "token") is None
    clock.now = 20
    assert status(table.check("acme", "ev_1", PATH, given, "token")) == 401
    assert status(table.check("acme", "ev_1", PATH, given, "token")) == 401


def test_a_secret_that_is_taken_away_closes_at_once() -> None:
    table = access()
    assert table.check("acme", "ev_1", PATH, token(), "token") is None
    table.set({"acme": {}}, {"ev_1": "token"})
    assert status(table.check("acme", "ev_1", PATH, token(), "token")) == 401


def test_a_token_of_another_project_does_not_verify() -> None:
    table = access()
    table.set({"acme": {"k1": SECRET}, "other": {"k1": b"o" * 32}}, {"ev_1": "token"})
    assert status(table.check("other", "ev_1", "/live/other/ev_1/x", token(), "token")) == 401


def test_the_memory_for_tokens_is_bounded() -> None:
    table = access(cache_size=2)
    for expires in range(100, 110):
        assert table.check("acme", "ev_1", PATH, token(expires=expires), "token") is None
    assert len(table._verified) == 2  # the bound is the point


@pytest.mark.parametrize("given", [None, token()])
def test_before_its_start_an_event_is_for_nobody(given: str | None) -> None:
    table = access()
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "nobody"})
    assert status(table.check("acme", "ev_1", PATH, given, "public")) == 403
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "public"})
    assert table.check("acme", "ev_1", PATH, given, "public") is None


def test_a_token_that_was_called_back_opens_nothing_though_it_was_verified_before() -> None:
    table, given = access(), token()
    assert table.check("acme", "ev_1", PATH, given, "token") is None
    revoked = {"ev_1": Revoked(tokens=frozenset({"t"}))}
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "token", "ev_2": "token"}, revoked)
    assert status(table.check("acme", "ev_1", PATH, given, "token")) == 401
    other = "/live/acme/ev_2/main/index.m3u8"
    assert table.check("acme", "ev_2", other, token("ev_2"), "token") is None
