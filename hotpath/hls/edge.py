"""The origin's side of a CDN: who is one, and whether the viewer behind it may watch.

    GET /edge/check                                              204: the secret is right
    GET /edge/check[/t/{token}]/live/{project}/{event}/{feed}    204, or 401/403 and the reason

An edge strips the token from a viewer's URL so that all viewers share what it caches, so it has to
ask here first, and is asked nothing itself: its requests for `/live/...` carry the shared secret.
Invariant: whoever does not know the secret gets what he would get without this module. A yes ages
within `check_s` and not beyond the token, so a revocation ends sessions at the edge, too.
Upstream: the HTTP server, by the node's front door. Downstream: `origin`.
"""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeAlias

from prometheus_client import Counter

from hotpath.hls.origin import EDGE
from infra.auth.access import Access, Denied

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

CHECK = "/edge/check"
SECRET_HEADER = b"x-livepath-edge"
REFUSAL_AGE_S = 1
"""A refusal is remembered, too: a player that hammers with a dead token must not reach us."""
_DEPTH = 5  # "", "live", project, event, feed

_CHECKS = Counter(
    "livepath_edge_checks", "Questions of edges whether a viewer may watch.", ["status"]
)


class Origin(Protocol):
    """What this module needs of the origin behind it."""

    access: Access

    def denied(self, project: str, event: str, feed: str, token: str | None) -> Denied | None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Edge:
    """The application in front of the origin; see the module for the invariant."""

    def __init__(self, origin: Origin, secret: str, check_s: int) -> None:
        if not secret:
            raise ValueError("an edge needs a secret")
        self._origin = origin
        self._secret = secret.encode()
        self._check_s = check_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        known = self._known(scope)
        if path == CHECK or path.startswith(CHECK + "/"):
            await self._answer(known, path[len(CHECK) :], send)
            return
        if known:
            scope[EDGE] = True
        await self._origin(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        for name, value in scope.get("headers", ()):
            if name == SECRET_HEADER:
                return hmac.compare_digest(value, self._secret)
        return False

    async def _answer(self, known: bool, path: str, send: Send) -> None:
        if not known:
            await _respond(send, 403, b"the edge's secret is missing or wrong", "no-store")
        elif not path:
            await _respond(send, 204, b"", "no-store")
        else:
            await self._check(path, send)

    async def _check(self, path: str, send: Send) -> None:
        token = None
        if path.startswith("/t/"):
            token, _, rest = path[3:].partition("/")
            path = "/" + rest
        pieces = path.split("/")
        if len(pieces) != _DEPTH or pieces[1] != "live":
            await _respond(send, 404, b"no path of a feed", "no-store")
            return
        _, _, project, event, feed = pieces
        denied = self._origin.denied(project, event, feed, token)
        if denied is not None:
            age = f"public, max-age={REFUSAL_AGE_S}"
            await _respond(send, denied.status, denied.reason.encode(), age)
            return
        # None: the event is public, and what stands in the token's place is of no account.
        lasts = self._origin.access.lasts_s(project, token) if token else None
        age_s = self._check_s if lasts is None else min(self._check_s, lasts)
        await _respond(send, 204, b"", f"public, max-age={age_s}")


async def _respond(send: Send, status: int, reason: bytes, cache_control: str) -> None:
    _CHECKS.labels(status).inc()
    body = reason + b"\n" if reason else b""
    headers = [(b"cache-control", cache_control.encode())]
    if body:
        headers += [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
