"""What a key may do follows from its scopes and a route's tag and method alone."""

import pytest

from infra.auth.scopes import Scope, allows, required, within


@pytest.mark.parametrize(
    ("tag", "method", "path", "scope"),
    [
        ("events", "GET", "/v1/events", Scope.EVENTS_READ),
        ("events", "HEAD", "/v1/events", Scope.EVENTS_READ),
        ("events", "POST", "/v1/events", Scope.EVENTS_WRITE),
        ("events", "DELETE", "/v1/events/{event}", Scope.EVENTS_WRITE),
        ("events", "POST", "/v1/events/{event}/tokens", Scope.TOKENS_WRITE),
        ("markers", "GET", "/v1/events/{event}/markers", Scope.EVENTS_READ),
        ("markers", "PATCH", "/v1/events/{event}/markers/{marker}", Scope.MARKERS_WRITE),
        ("jobs", "POST", "/v1/jobs/{job}/cancel", Scope.JOBS_WRITE),
        ("audit", "GET", "/v1/audit", Scope.AUDIT_READ),
        ("playback", "GET", "/v1/playback/{event}", None),
        ("playback", "POST", "/v1/playback/{event}/clips", None),
    ],
)
def test_a_route_needs_one_scope(tag: str, method: str, path: str, scope: Scope | None) -> None:
    assert required(tag, method, path) is scope


@pytest.mark.parametrize(("tag", "method"), [("rooms", "GET"), ("", "GET"), ("audit", "DELETE")])
def test_a_route_that_the_table_does_not_know_is_not_open(tag: str, method: str) -> None:
    with pytest.raises(LookupError, match="has no scope"):
        required(tag, method, "/v1/x")


def test_a_star_is_every_scope() -> None:
    assert all(allows({"*"}, scope) for scope in Scope)
    assert allows({"events:read"}, Scope.EVENTS_READ)
    assert not allows({"events:write"}, Scope.EVENTS_READ)
    assert not allows(set(), Scope.EVENTS_READ)


def test_nobody_gives_what_they_lack() -> None:
    assert within(["*"], ["*"])
    assert within(["events:read", "keys:write"], ["*"])
    assert within(["events:read"], ["keys:write", "events:read"])
    assert not within(["*"], [scope for scope in Scope if scope is not Scope.ALL])
    assert not within(["events:write"], ["events:read"])
