"""WHEP over HTTP: offers in, answers and problems out, one control channel per session.

    POST/OPTIONS         /live/{project}/{event}/{feed}/whep
    PATCH/DELETE/OPTIONS /live/{project}/{event}/{feed}/whep/{session}
    GET                  /live/{project}/{event}/{feed}/whep/{session}/events

A session's URL is unguessable and authorises what is done to it. Upstream: HTTP clients, behind the
node's ASGI front, which puts the token of `/t/{token}/live/...` into `scope["livepath.token"]`.
Downstream: `FanoutService`. Spec: draft-ietf-wish-whep-03, RFC 9725, RFC 8840, RFC 9457.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hotpath.fanout.control import EVENTS, RETRY, ControlEvent
from hotpath.fanout.limits import Refused
from hotpath.fanout.service import DRAINING, FanoutService, NotOnAir
from hotpath.fanout.sessions import JoinRefused
from hotpath.fanout.viewer import ViewerSession
from hotpath.webrtc.candidate import parse as parse_candidate
from hotpath.webrtc.errors import CandidateError, DtlsError
from hotpath.webrtc.http import CORS, HttpProblem, bearer, client_gone, line_of, sdp_body
from hotpath.webrtc.sdp import (
    Fragment,
    SdpError,
    fragment_answer,
    parse_fragment,
    parse_offer,
)
from hotpath.webrtc.turn import ice_server_links
from infra.auth.access import Admitted, Denied
from infra.keys import ProgramKey

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
SSE_EXTENSION = "urn:ietf:params:whep:ext:core:server-sent-events"
RETRY_OFF_AIR_S = 2
# Relative, so that a token in the request's path is in the playlist's as well.
LL_HLS = {"link": '<index.m3u8>; rel="alternate"; type="application/vnd.apple.mpegurl"'}
_PREFLIGHT = {
    **CORS,
    "access-control-allow-headers": "authorization, content-type, if-match",
    "access-control-max-age": "86400",
}


def whep_app(service: FanoutService) -> Starlette:
    """The ASGI application."""
    whep = _Whep(service)
    base = "/live/{project}/{event}/{feed}/whep"
    return Starlette(
        routes=[
            Route(base, whep.post, methods=["POST"]),
            Route(base, whep.options_endpoint, methods=["OPTIONS"]),
            Route(base + "/{session}", whep.patch, methods=["PATCH"]),
            Route(base + "/{session}", whep.delete, methods=["DELETE"]),
            Route(base + "/{session}", whep.options_session, methods=["OPTIONS"]),
            Route(base + "/{session}/events", whep.events, methods=["GET"]),
            Route(base + "/{session}/events", whep.options_session, methods=["OPTIONS"]),
        ],
        exception_handlers={
            HttpProblem: _problem,
            HTTPException: _http_exception,
            ClientDisconnect: client_gone,
        },
    )


class _Whep:
    def __init__(self, service: FanoutService) -> None:
        self._service = service

    async def options_endpoint(self, request: Request) -> Response:
        allowed = {"allow": "POST, OPTIONS", "access-control-allow-methods": "POST, OPTIONS"}
        return Response(status_code=200, headers={**_PREFLIGHT, **allowed, "accept-post": SDP})

    async def options_session(self, request: Request) -> Response:
        methods = "GET, PATCH, DELETE, OPTIONS"
        allowed = {"allow": methods, "access-control-allow-methods": methods}
        return Response(
            status_code=200, headers={**_PREFLIGHT, **allowed, "accept-patch": FRAGMENT}
        )

    async def post(self, request: Request) -> Response:
        try:
            return await self._join(request)
        except HttpProblem as problem:
            self._service.viewers.joins[problem.slug] += 1
            raise

    async def _join(self, request: Request) -> Response:
        if self._service.draining:  # whatever is on the air still, and whoever asks
            raise _refused(DRAINING)
        key = self._key(request)
        token = request.scope.get("livepath.token") or bearer(request)
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        peer = request.client.host if request.client else ""
        host = self._service.proxies.client(peer, forwarded)
        admitted = self._admitted(key, token, host)
        text = await sdp_body(request, SDP)
        try:
            offer = parse_offer(text)
        except SdpError as error:
            raise _bad_sdp(str(error)) from error
        try:
            joined = self._service.join(
                key,
                offer,
                address=line_of(host),
                token=token,
                token_id=admitted.claims.token_id if admitted.claims else None,
                host=host,
                rights=admitted.rights,
            )
        except NotOnAir as error:
            raise self._off_air(key) from error
        except SdpError as error:
            raise _no_codec(str(error)) from error
        except DtlsError as error:
            raise _bad_sdp(str(error)) from error
        except JoinRefused as error:
            raise _refused(error.refused) from error
        return self._created(joined.session, joined.answer)

    async def patch(self, request: Request) -> Response:
        match = request.headers.get("if-match")
        self._session(request)  # whoever names none is not read from
        text = await sdp_body(request, FRAGMENT)
        session = self._session(request)  # it may have ended meanwhile
        if match is None:
            raise _precondition(428, "the request has no If-Match", "Send If-Match with the ETag.")
        if not {"*", session.etag} & {tag.strip() for tag in match.split(",")}:
            raise _precondition(
                412, "the ETag is of an ICE session before this one", "Restart ICE."
            )
        try:
            fragment = parse_fragment(text)
        except SdpError as error:
            raise _bad_sdp(str(error)) from error
        if fragment.ufrag is not None and fragment.ufrag != session.remote_ufrag:
            return self._restarted(session, fragment)
        _add_candidates(session, fragment)
        return Response(status_code=204, headers=dict(CORS))

    async def delete(self, request: Request) -> Response:
        self._session(request).leave()
        return Response(status_code=200, headers={**CORS, "cache-control": "no-store"})

    async def events(self, request: Request) -> Response:
        headers = {**CORS, "cache-control": "no-store", "x-accel-buffering": "no"}
        farewell = self._farewell(request) if request.method == "GET" else None
        if farewell is not None:
            body = RETRY + farewell.encoded()
            return Response(body, media_type="text/event-stream", headers=headers)
        session = self._session(request)
        if request.method == "HEAD":  # must not take the place of who reads the channel
            return Response(headers=headers, media_type="text/event-stream")
        stream = session.channel.stream(
            self._service.keep_alive_s, lambda: self._service.reminders(session.feed.key)
        )
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    # -- answers -----------------------------------------------------------------------------

    def _created(self, session: ViewerSession, answer: str) -> Response:
        # Relative, so that it is right behind any prefix and for any token in the path.
        location = f"whep/{session.id}"
        headers = {**CORS, "cache-control": "no-store", "location": location, "etag": session.etag}
        response = Response(answer, 201, {**headers, "accept-patch": FRAGMENT}, media_type=SDP)
        response.headers.append(
            "link", f'<{location}/events>; rel="{SSE_EXTENSION}"; events="{",".join(EVENTS)}"'
        )
        turn, event = self._service.turn, session.feed.key.event
        for link in ice_server_links(turn, event, int(time.time())):
            response.headers.append("link", link)
        return response

    def _restarted(self, session: ViewerSession, fragment: Fragment) -> Response:
        ufrag, pwd = session.restart(fragment.ufrag or "", fragment.pwd or "")
        _add_candidates(session, fragment)
        candidates = self._service.mux.candidates
        body = fragment_answer(fragment, ufrag=ufrag, pwd=pwd, candidates=candidates)
        headers = {**CORS, "cache-control": "no-store", "etag": session.etag}
        return Response(body, 200, headers, media_type=FRAGMENT)

    # -- what a request is about -------------------------------------------------------------

    def _key(self, request: Request) -> ProgramKey:
        names = request.path_params
        try:
            key = ProgramKey(names["project"], names["event"], names["feed"])
        except ValueError as error:
            raise _not_found("no such programme", "Use the event's whep_url.") from error
        if self._service.programme(key) is None:
            raise self._off_air(key)
        return key

    def _admitted(self, key: ProgramKey, token: str | None, host: str) -> Admitted:
        """With claims where a token is needed; raises what the viewer is told."""
        programme = self._service.programme(key)
        default = programme.access if programme is not None else "token"
        access = self._service.access
        path = f"/live/{key}/whep"
        found = access.admit(key.project, key.event, path, token, default, address=host)
        if isinstance(found, Denied):
            raise _denied(found, sent=token is not None)
        if found.claims is None:
            rights = access.raised(key.project, key.event, path, token, address=host)
            return replace(found, rights=rights)
        if not found.rights.path.whep:
            raise _wrong_tier()
        return found

    def _session(self, request: Request) -> ViewerSession:
        names = request.path_params
        session = self._service.sessions.get(names["session"])
        key = f"{names['project']}/{names['event']}/{names['feed']}"
        if session is None or str(session.feed.key) != key:
            raise _not_found("the session is over or never was", "POST a new offer.")
        return session

    def _farewell(self, request: Request) -> ControlEvent | None:
        names = request.path_params
        try:
            key = ProgramKey(names["project"], names["event"], names["feed"])
        except ValueError:
            return None
        return self._service.viewers.farewells.take(names["session"], key, time.monotonic_ns())

    def _off_air(self, key: ProgramKey) -> HttpProblem:
        if self._service.is_over(key):
            return _not_found("the event is over", "Watch its recording.")
        retry = {"retry-after": str(RETRY_OFF_AIR_S)}
        detail = "nothing is on the air here yet"
        return _not_found(detail, "Try again when the event has begun.", retry)


def _add_candidates(session: ViewerSession, fragment: Fragment) -> None:
    """RFC 9725 4.3.2: a candidate that is of no use is passed over, and no error."""
    for line in fragment.candidates:
        try:
            session.peer.add_remote_candidate(parse_candidate(line))
        except CandidateError:
            continue


def _denied(denied: Denied, *, sent: bool) -> HttpProblem:
    return HttpProblem(
        denied.status,
        "forbidden" if denied.status == 403 else "unauthorized",
        "The event needs another viewer token" if sent else "The event needs a viewer token",
        denied.reason,
        "Send a viewer token of this event: `Authorization: Bearer`, or /t/{token}/live/….",
        headers={"www-authenticate": "Bearer"} if denied.status == 401 else None,
    )


def _wrong_tier() -> HttpProblem:
    return HttpProblem(
        403,
        "tier",
        "The token is not for WebRTC",
        "the tier of this viewer watches by LL-HLS",
        "Watch by LL-HLS: see the Link header. The organiser can change the tier.",
        headers=LL_HLS,
    )


def _bad_sdp(detail: str) -> HttpProblem:
    return HttpProblem(400, "bad-sdp", "The SDP cannot be used", detail, "Send a WebRTC offer.")


def _no_codec(detail: str) -> HttpProblem:
    return HttpProblem(
        406,
        "no-usable-codec",
        "Nothing that was offered can be sent",
        detail,
        "Offer to receive what there is: H.264 video (packetization-mode 1) and Opus audio.",
    )


def _refused(refused: Refused) -> HttpProblem:
    return HttpProblem(
        503,
        refused.cause.value,
        "The node takes no further viewer just now",
        refused.detail,
        f"Try again in {refused.retry_after_s} s, or watch by LL-HLS: see the Link header.",
        headers={
            "retry-after": str(refused.retry_after_s),
            **LL_HLS,
        },
    )


def _precondition(status: int, detail: str, fix: str) -> HttpProblem:
    title = "The ICE session is not named" if status == 428 else "The ICE session is another one"
    return HttpProblem(status, "ice-session", title, detail, fix)


def _not_found(detail: str, fix: str, headers: Mapping[str, str] | None = None) -> HttpProblem:
    return HttpProblem(
        404, "not-found", "There is nothing to watch here", detail, fix, headers=headers
    )


async def _problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HttpProblem):
        raise error
    return error.response()


async def _http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: unknown paths and methods."""
    if not isinstance(error, HTTPException):
        raise error
    slug = "method" if error.status_code == 405 else "not-found"
    fix = "POST an SDP offer to the event's whep_url."
    headers = dict(error.headers or {})
    problem = HttpProblem(error.status_code, slug, error.detail, error.detail, fix, headers=headers)
    return problem.response()
