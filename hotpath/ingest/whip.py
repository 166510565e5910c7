"""The WHIP endpoint: SDP offers in, answers out, over HTTP.

    POST /whip/{event}              201: SDP answer, Location, ETag, Link (TURN servers)
    POST /whip/{event}?role=backup  the same, in the other place
    PATCH /whip/{event}/{session}   204: candidates taken; 200: ICE restarted, new ETag
    DELETE /whip/{event}/{session}  200: the publisher is gone
    OPTIONS                         what is accepted, and CORS

Upstream: publishers. Downstream: `hotpath.ingest.whip_service`. Spec: RFC 9725, RFC 9457.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotpath.ingest.whip_problems import (
    gone,
    handlers,
    method_not_allowed,
    precondition,
    unknown_role,
)
from hotpath.ingest.whip_service import WhipIngest
from hotpath.ingest.whip_session import WhipSession
from hotpath.webrtc.http import CORS, bearer, sdp_body
from hotpath.webrtc.sdp import fragment_answer, parse_fragment
from hotpath.webrtc.turn import TurnServers, ice_server_links
from infra.publishers import Role

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
_PREFLIGHT_S = 86_400
_METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")

Answer = Callable[[Request], Awaitable[Response]]


def whip_app(ingest: WhipIngest, *, turn: TurnServers | None = None) -> Starlette:
    """The ASGI app; `Location` is relative to the host, so any public address works."""
    endpoint = _Endpoint(ingest, turn or TurnServers())
    return Starlette(
        routes=[
            _route("/whip/{event}", {"POST": endpoint.publish}, "accept-post", SDP),
            _route(
                "/whip/{event}/{session}",
                {"PATCH": endpoint.patch, "DELETE": endpoint.delete},
                "accept-patch",
                FRAGMENT,
            ),
        ],
        exception_handlers=handlers(),
    )


def _route(path: str, answers: Mapping[str, Answer], accept: str, kind: str) -> Route:
    """A resource with these methods; the others are 405 (RFC 9725 4.2 for GET, HEAD and PUT)."""
    allowed = ", ".join((*answers, "OPTIONS"))
    options = {
        **CORS,
        "allow": allowed,
        accept: kind,
        "access-control-allow-methods": allowed,
        "access-control-allow-headers": "authorization, content-type, if-match",
        "access-control-max-age": str(_PREFLIGHT_S),
    }

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=options)
        method = answers.get(request.method)
        if method is None:
            raise method_not_allowed(request.method, allowed)
        return await method(request)

    return Route(path, answer, methods=_METHODS)


class _Endpoint:
    def __init__(self, ingest: WhipIngest, turn: TurnServers) -> None:
        self._ingest = ingest
        self._turn = turn

    async def publish(self, request: Request) -> Response:
        event, token = request.path_params["event"], bearer(request)
        role, peer = _role(request), _peer(request)
        # Before the body is read: whoever is not let in costs no parsing.
        self._ingest.check(event, role, token, peer)
        offer = await sdp_body(request, SDP)
        session = self._ingest.publish(event, role, token, offer, peer)
        headers = {
            **CORS,
            "location": f"{request.scope.get('root_path', '')}/whip/{event}/{session.id}",
            "etag": session.etag,
            "accept-patch": FRAGMENT,
            "cache-control": "no-store",
        }
        response = Response(session.answer, 201, headers, media_type=SDP)
        for link in ice_server_links(self._turn, event, int(time.time())):
            response.headers.append("link", link)
        return response

    async def patch(self, request: Request) -> Response:
        self._session(request)  # whoever names none is not read from
        text = await sdp_body(request, FRAGMENT)
        session = self._session(request)  # it may have ended meanwhile, or restarted
        wanted = request.headers.get("if-match")
        if wanted is None or wanted.strip() not in ("*", session.etag):
            raise precondition(wanted)
        fragment = parse_fragment(text)
        if fragment.ufrag is None or fragment.pwd is None or session.is_current(fragment):
            session.trickle(fragment)
            return Response(status_code=204, headers={**CORS, "etag": session.etag})
        ufrag, pwd = session.restart(fragment.ufrag, fragment.pwd)
        body = fragment_answer(fragment, ufrag=ufrag, pwd=pwd, candidates=self._ingest.candidates)
        headers = {**CORS, "etag": session.etag, "cache-control": "no-store"}
        return Response(body, 200, headers, media_type=FRAGMENT)

    async def delete(self, request: Request) -> Response:
        self._session(request).close("unpublished")
        return Response(status_code=200, headers=CORS)

    def _session(self, request: Request) -> WhipSession:
        found = self._ingest.session(request.path_params["event"], request.path_params["session"])
        if found is None:
            raise gone()
        return found


def _role(request: Request) -> Role:
    given = request.query_params.getlist("role")
    if not given:
        return Role.PRIMARY
    if len(given) > 1 or given[0] not in tuple(Role):
        raise unknown_role()
    return Role(given[0])


def _peer(request: Request) -> str:
    if request.client is None:
        return ""
    host, port = request.client
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
