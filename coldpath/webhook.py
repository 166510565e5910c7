"""The dispatcher's HTTP side: object events in, and the operations paths.

`POST /events/seaweedfs` and `POST /events/minio` take a bearer token and a body of at most 1 MiB.
204: filed, or nothing to do. 400: no event of that kind. 401: no or another token. 503: store or
database are away; stores that retry do so, for the others the reconciler finds the object.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from coldpath import s3events
from coldpath.errors import EventFormatError
from coldpath.s3events import ObjectCreated
from infra.errors import StorageError
from infra.telemetry.ops import Check, ops_response

log = logging.getLogger(__name__)

MAX_BODY = 1 << 20
Take = Callable[[list[ObjectCreated]], object]
_PARSERS: Mapping[str, Callable[[bytes], list[ObjectCreated]]] = {
    "seaweedfs": s3events.seaweedfs,
    "minio": s3events.s3,
}


class Webhook:
    """`take` files objects; it is called in a thread, `concurrency` calls at a time."""

    def __init__(
        self, token: str, take: Take, checks: Mapping[str, Check], *, concurrency: int = 4
    ) -> None:
        self._authorization = f"Bearer {token}".encode()
        self._take = take
        self._checks = checks
        self._slots = asyncio.Semaphore(concurrency)
        self.app = Starlette(
            routes=[
                Route("/events/{store}", self._event, methods=["POST"]),
                Route("/{path:path}", self._ops, methods=["GET"]),
            ]
        )

    async def _event(self, request: Request) -> Response:
        parser = _PARSERS.get(request.path_params["store"])
        if parser is None:
            return _problem(404, f"post to one of {', '.join(f'/events/{s}' for s in _PARSERS)}")
        if not hmac.compare_digest(
            request.headers.get("authorization", "").encode("utf-8", "replace"),
            self._authorization,
        ):
            return _problem(401, "send LIVEPATH_WEBHOOK_TOKEN as bearer token")
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return _problem(413, f"an event has at most {MAX_BODY} bytes")
        try:
            events = parser(body)
        except EventFormatError as error:
            return _problem(400, str(error))
        return await self._file(events)

    async def _file(self, events: list[ObjectCreated]) -> Response:
        if events:
            try:
                async with self._slots:
                    await asyncio.to_thread(self._take, events)
            except (StorageError, DBAPIError) as error:
                log.warning("an event of %s waits for the reconciler: %s", events[0].key, error)
                return _problem(503, "the object store or the database is away; try again")
        return Response(status_code=204)

    async def _ops(self, request: Request) -> Response:
        answer = await ops_response(request.url.path, self._checks)
        if answer is None:
            return _problem(404, "there is nothing here")
        status, content_type, body = answer
        return Response(body, status, {"Content-Type": content_type.decode()})


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse(
        {"status": status, "detail": detail}, status, media_type="application/problem+json"
    )
