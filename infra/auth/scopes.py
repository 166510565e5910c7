"""What an API key may do: the scope of every route, from its tag and method.

Invariant: a route is open to everybody, or needs exactly one scope, or cannot be served at all: a
tag that the table lacks raises, so no new route is open by oversight. `*` stands for every scope
there is and will be. Upstream: `infra.control.dependencies`, before a request's transaction begins.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Scope(StrEnum):
    """One thing that a key may do in its project."""

    ALL = "*"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    INGEST_READ = "ingest:read"
    """Events show how to publish to them, as they do to who may write them."""
    TOKENS_WRITE = "tokens:write"
    MARKERS_WRITE = "markers:write"
    CLIPS_WRITE = "clips:write"
    REPLAY_WRITE = "replay:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    STREAM_READ = "stream:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    ORGANISATIONS_READ = "organisations:read"
    ORGANISATIONS_WRITE = "organisations:write"
    NODES_READ = "nodes:read"
    NODES_WRITE = "nodes:write"
    AUDIT_READ = "audit:read"


READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
KEY_SCHEME = "ApiKey"
"""Name of the security scheme in the API's description."""
OPEN_TAGS = frozenset({"playback", "publishing"})
"""Routes for viewers and publishers, who have tokens in place of keys."""
_OF_TAG: Mapping[str, tuple[Scope, Scope | None]] = MappingProxyType(
    {
        "events": (Scope.EVENTS_READ, Scope.EVENTS_WRITE),
        "assets": (Scope.EVENTS_READ, Scope.EVENTS_WRITE),
        "markers": (Scope.EVENTS_READ, Scope.MARKERS_WRITE),
        "clips": (Scope.EVENTS_READ, Scope.CLIPS_WRITE),
        "replay": (Scope.EVENTS_READ, Scope.REPLAY_WRITE),
        "jobs": (Scope.JOBS_READ, Scope.JOBS_WRITE),
        "webhooks": (Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE),
        "stream": (Scope.STREAM_READ, None),
        "overview": (Scope.EVENTS_READ, None),
        "keys": (Scope.KEYS_READ, Scope.KEYS_WRITE),
        "projects": (Scope.PROJECTS_READ, Scope.PROJECTS_WRITE),
        "organisations": (Scope.ORGANISATIONS_READ, Scope.ORGANISATIONS_WRITE),
        "nodes": (Scope.NODES_READ, Scope.NODES_WRITE),
        "audit": (Scope.AUDIT_READ, None),
    }
)
"""(to read, to change) by tag."""
_OF_ROUTE: Mapping[tuple[str, str], Scope] = MappingProxyType(
    {
        ("POST", "/v1/events/{event}/tokens"): Scope.TOKENS_WRITE,
        ("POST", "/v1/events/{event}/revocations"): Scope.TOKENS_WRITE,
        ("POST", "/v1/events/{event}/tier-changes"): Scope.TOKENS_WRITE,
    }
)
"""Routes that need another scope than their tag says."""


def required(tag: str, method: str, path: str) -> Scope | None:
    """The scope of a route, by its template; None for one that takes no key.

    Raises LookupError for a route that the tables do not know.
    """
    if tag in OPEN_TAGS:
        return None
    scope = _OF_ROUTE.get((method, path)) or _OF_TAG.get(tag, (None, None))[method not in READING]
    if scope is None:
        raise LookupError(f"{method} {path} has the tag {tag!r}, which has no scope for it")
    return scope


def describe(document: Mapping[str, Any]) -> None:
    """Put the scope of every operation into an OpenAPI document, where its key is asked for."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scope = required(operation["tags"][-1], method.upper(), path)
            if scope is not None:
                # OpenAPI 3.1: names of roles, for schemes other than OAuth.
                operation["security"] = [{KEY_SCHEME: [scope.value]}]


def allows(held: Collection[str], needed: Scope) -> bool:
    """Whether a key with the scopes `held` may do what `needed` names."""
    return Scope.ALL in held or needed in held


def within(wanted: Collection[str], held: Collection[str]) -> bool:
    """Whether `wanted` allows nothing that `held` does not."""
    return Scope.ALL in held or set(wanted) <= set(held)
