"""What is known of a request while it is answered, and what its answer says about it.

Invariant: every answer carries `X-Request-Id`: the client's where it is sane, else a fresh one; the
same id is in the problem, in the log lines and in the audit log. Every refusal of a call that would
have changed something goes to the audit trail.
Upstream: the server. Downstream: the app; `infra.control.dependencies` fills the record in.
"""

import re
from dataclasses import dataclass
from typing import cast

import structlog
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.auth.scopes import READING
from infra.control.audit import Deed, entry_of
from infra.control.context import ControlContext
from infra.control.ids import new_id
from infra.control.limits import Verdict

HEADER = "X-Request-Id"
REFUSALS = frozenset({401, 403, 404, 409, 412, 422})
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@dataclass(slots=True)
class RequestRecord:
    """Filled in as the request is understood."""

    id: str
    ip: str
    key: str | None = None
    """Id of the API key, also of one that is revoked or expired."""
    project: str | None = None
    verdict: Verdict | None = None
    """What the rate limit said."""


def record_of(request: Request) -> RequestRecord:
    return cast("RequestRecord", request.state.record)


def deed_of(scope: Scope, status: int, created: str | None = None) -> Deed | None:
    """What this request did or wanted to do; None for what is no call of the API."""
    route = scope.get("route")
    if not isinstance(route, APIRoute) or not route.tags:
        return None
    record: RequestRecord = scope["state"]["record"]
    objects = {name: str(value) for name, value in scope.get("path_params", {}).items()}
    if created is not None:
        objects["created"] = created
    return Deed(
        request=record.id,
        ip=record.ip,
        key=record.key,
        project=record.project,
        operation=route.unique_id,
        objects=objects,
        status=status,
    )


class Requests:
    """The outermost layer; see the module for the invariant."""

    def __init__(self, app: ASGIApp, context: ControlContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = _begin(scope)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._ended(scope, message["status"])
                headers = MutableHeaders(scope=message)
                headers[HEADER] = record.id
                if record.verdict is not None:
                    headers.update(record.verdict.headers())
            await send(message)

        await self._app(scope, receive, told)

    def _ended(self, scope: Scope, status: int) -> None:
        if status not in REFUSALS or scope["method"] in READING:
            return
        deed = deed_of(scope, status)
        if deed is not None:
            self._context.trail.refused(entry_of(deed, self._context.now_ms()))


def _begin(scope: Scope) -> RequestRecord:
    sent = Headers(scope=scope).get(HEADER, "")
    client = scope.get("client")
    record = RequestRecord(
        id=sent if _SANE.fullmatch(sent) else new_id("req_"), ip=client[0] if client else ""
    )
    scope.setdefault("state", {})["record"] = record
    # Each request has a context of its own; a traceback is logged outside of this layer.
    structlog.contextvars.bind_contextvars(request_id=record.id)
    return record
