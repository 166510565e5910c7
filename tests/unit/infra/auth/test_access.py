"""Viewer tokens in the URL: who may read what, decided offline."""

from typing import Any

import pytest

from infra.auth.access import Access, Admitted, Denied
from infra.auth.policy import UNLIMITED, Path, Rights, Role, Tier
from infra.auth.revocation import Revoked
from infra.auth.tier_changes import TierChange, TierChanges
from infra.auth.tokens import ViewerClaims, issue

SECRET = b"s" * 32
PATH = "/live/acme/ev_1/main/index.m3u8"


def token(
    event: str = "ev_1",
    *,
    prefix: str | None = None,
    expires: int = 1000,
    secret: bytes = SECRET,
    **more: Any,
) -> str:
    prefix = prefix or f"/live/acme/{event}"
    claims = ViewerClaims("acme", event, prefix, "viewer", 0, expires, "t", **more)
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


def rights(table: Access, given: str, address: str = "") -> Rights:
    found = table.admit("acme", "ev_1", PATH, given, "token", address=address)
    assert isinstance(found, Admitted), found
    return found.rights


def test_a_token_says_what_is_due_to_its_viewer() -> None:
    given = token(role=Role.INTERACTIVE, tier=Tier.BROADCAST, cap="480p")
    assert rights(access(), given) == Rights(Path.HLS, "480p", 1)
    assert rights(access(), token()) == UNLIMITED


def test_a_changed_tier_takes_the_place_of_the_tokens_though_it_was_verified_before() -> None:
    table, given = access(), token(cap="480p")
    assert rights(table, given) == Rights(Path.BOTH, "480p", 0)
    changes = TierChanges.of([TierChange("viewer", Tier.INTERACTIVE, None, 0)])
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "token"}, {}, {"ev_1": changes})
    assert rights(table, given) == Rights(Path.BOTH, None, 1)
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "token"}, {}, {"ev_2": changes})
    assert rights(table, given) == Rights(Path.BOTH, "480p", 0)


def test_a_changed_tier_opens_nothing_that_was_called_back() -> None:
    table, given = access(), token()
    changes = TierChanges.of([TierChange("viewer", Tier.BACKSTAGE, None, 0)])
    revoked = {"ev_1": Revoked(everybody=0)}
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "token"}, revoked, {"ev_1": changes})
    assert status(table.check("acme", "ev_1", PATH, given, "token")) == 401


def test_a_bound_token_opens_nothing_elsewhere() -> None:
    table, given = access(), token(network="192.0.2.0/24")
    assert rights(table, given, "192.0.2.9") == UNLIMITED
    for address in ("192.0.3.9", ""):
        found = table.admit("acme", "ev_1", PATH, given, "token", address=address)
        assert isinstance(found, Denied)
        assert found.status == 403


@pytest.mark.parametrize(
    ("given", "priority"),
    [
        (None, 0),
        ("garbage", 0),
        (token("ev_3"), 0),
        (token("ev_3", role=Role.HOST, tier=Tier.BROADCAST, cap="240p"), 4),
        (token("ev_1", role=Role.HOST), 0),
    ],
)
def test_where_no_token_is_needed_a_good_one_adds_its_priority_alone(
    given: str | None, priority: int
) -> None:
    table = access()
    path = "/live/acme/ev_3/main/whep"
    assert table.raised("acme", "ev_3", path, given) == Rights(Path.BOTH, None, priority)
    everything = {"ev_3": Revoked(everybody=0)}
    table.set({"acme": {"k1": SECRET}}, {"ev_3": "public"}, everything)
    assert table.raised("acme", "ev_3", path, given) == UNLIMITED


def test_where_no_token_is_needed_one_for_elsewhere_adds_nothing() -> None:
    given = token("ev_3", role=Role.HOST, network="192.0.2.0/24")
    for address, priority in (("192.0.2.7", 4), ("192.0.3.7", 0)):
        path = "/live/acme/ev_3/main/whep"
        found = access().raised("acme", "ev_3", path, given, address=address)
        assert found.priority == priority


def test_what_was_verified_is_kept_while_the_keys_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    table, given = access(), token()
    assert rights(table, given) == UNLIMITED
    monkeypatch.setattr("infra.auth.tokens.verify", None)
    table.set({"acme": {"k1": SECRET}}, {"ev_1": "token"})
    assert rights(table, given) == UNLIMITED
