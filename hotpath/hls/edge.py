"""The origin's side of a CDN: who is one, and whether the viewer behind it may watch.

    GET /edge/check                                              204: the secret is right
    GET /edge/check[/t/{token}]/live/{project}/{event}/{feed}    204, or 401/403 and the reason

    asked with X-Livepath-Viewer: the viewer's address
    answered with X-Livepath-Cap, X-Livepath-Beyond, where the viewer may not have everything

An edge strips the token from a viewer's URL so that all viewers share what it caches, so it has to
ask here first, and is asked nothing itself: its requests for `/live/...` carry the shared secret.
Invariant: whoever does not know the secret gets what he would get without this module. A yes ages
within `check_s` and not beyond the token, so a revocation ends sessions at the edge, too.
Upstream: the HTTP server, by the node's front door. Downstream: `origin`.
"""

import hmac
from typing import Protocol

from prometheus_client import Counter

from hotpath.hls.exchange import Application, Header, Request, Response
from infra.auth.access import Access, Admitted, Denied

CHECK = "/edge/check"
SECRET_HEADER = b"x-livepath-edge"
VIEWER_HEADER = b"x-livepath-viewer"
CAP_HEADER, BEYOND_HEADER = b"x-livepath-cap", b"x-livepath-beyond"
REFUSAL_AGE_S = 1
"""A refusal is remembered, too: a player that hammers with a dead token must not reach us."""
_DEPTH = 5  # "", "live", project, event, feed

_CHECKS = Counter(
    "livepath_edge_checks", "Questions of edges whether a viewer may watch.", ["status"]
)


class Origin(Protocol):
    """What this module needs of the origin behind it."""

    access: Access

    def admit(
        self, project: str, event: str, feed: str, token: str | None, address: str
    ) -> Admitted | Denied: ...

    def beyond(self, project: str, event: str, feed: str, cap: str) -> frozenset[str]: ...

    def receive(self, request: Request) -> bool: ...


class Edge(Application):
    """The application in front of the origin; see the module for the invariant."""

    def __init__(self, origin: Origin, secret: str, check_s: int) -> None:
        if not secret:
            raise ValueError("an edge needs a secret")
        self._origin = origin
        self._secret = secret.encode()
        self._check_s = check_s

    def receive(self, request: Request) -> bool:
        known = self._known(request)
        path = request.path
        if path == CHECK or path.startswith(CHECK + "/"):
            viewer = request.headers.get(VIEWER_HEADER, b"").decode("latin-1")
            response = self._answer(known, path[len(CHECK) :], viewer)
            _CHECKS.labels(response.status).inc()
            request.respond(response)
            return True
        request.edge = known
        return self._origin.receive(request)

    def _known(self, request: Request) -> bool:
        given = request.headers.get(SECRET_HEADER)
        return given is not None and hmac.compare_digest(given, self._secret)

    def _answer(self, known: bool, path: str, viewer: str) -> Response:
        if not known:
            return _response(403, "the edge's secret is missing or wrong", "no-store")
        return self._check(path, viewer) if path else _response(204, "", "no-store")

    def _check(self, path: str, viewer: str) -> Response:
        token = None
        if path.startswith("/t/"):
            token, _, rest = path[3:].partition("/")
            path = "/" + rest
        pieces = path.split("/")
        if len(pieces) != _DEPTH or pieces[1] != "live":
            return _response(404, "no path of a feed", "no-store")
        _, _, project, event, feed = pieces
        found = self._origin.admit(project, event, feed, token, viewer)
        bound = token is not None and self._is_bound(project, token)
        more: tuple[Header, ...] = ((b"vary", VIEWER_HEADER),) if bound else ()
        if isinstance(found, Denied):
            age = f"public, max-age={REFUSAL_AGE_S}"
            return _response(found.status, found.reason, age, more)
        if (cap := found.rights.cap) is not None:
            beyond = ",".join(sorted(self._origin.beyond(project, event, feed, cap)))
            more += ((CAP_HEADER, cap.encode()), (BEYOND_HEADER, f",{beyond},".encode()))
        # None: the event is public, and what stands in the token's place is of no account.
        lasts = self._origin.access.lasts_s(project, token) if token else None
        age_s = self._check_s if lasts is None else min(self._check_s, lasts)
        return _response(204, "", f"public, max-age={age_s}", more)

    def _is_bound(self, project: str, token: str) -> bool:
        """Whether the answer depends on where the viewer is."""
        claims = self._origin.access.claims(project, token)
        return claims is not None and claims.network is not None


def _response(
    status: int, reason: str, cache_control: str, more: tuple[Header, ...] = ()
) -> Response:
    body = f"{reason}\n".encode() if reason else b""
    headers: tuple[Header, ...] = ((b"cache-control", cache_control.encode()), *more)
    if body:
        headers += (
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        )
    return Response(status, headers, body)
