"""ASGI layers around the API: a cap on request bodies, and request timings."""

import time

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.control.problems import ApiProblem, problem_response
from infra.jobs.replay import MAX_BYTES

MAX_BODY = 64 * 1024
"""Bytes; nearly every body of this API is a few hundred."""
LARGE_BODIES = {"/replay": MAX_BYTES}
"""By the end of the path."""
_SECONDS = Histogram(
    "livepath_control_request_seconds",
    "Time to answer a control request.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class TooLarge(ApiProblem):
    status, slug, title = 413, "too-large", "The body is too large"


class BodyLimit:
    """Refuses bodies over `limit` bytes before they are held in memory."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._collect(receive, self._limit_of(scope["path"]))
        except TooLarge as problem:
            await problem_response(problem)(scope, receive, send)
            return
        if body is None:
            return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    def _limit_of(self, path: str) -> int:
        return LARGE_BODIES.get(path[path.rfind("/") :], self._limit)

    async def _collect(self, receive: Receive, limit: int) -> bytes | None:
        """The whole body; None when the client left."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > limit:
                raise TooLarge(f"the body is longer than {limit} bytes", "Send a smaller body.")
            if not message.get("more_body", False):
                return bytes(body)


class Timing:
    """Measures requests by route template, so that no id becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, watch)
        finally:
            # A method is the client's free text; unknown ones must not become labels.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "none")
            _SECONDS.labels(method, route, str(status)).observe(time.perf_counter() - began)
