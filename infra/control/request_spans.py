"""A span for each call of the API, as part of the client's trace where it sends one.

Invariant: a `traceparent` that cannot be used begins another trace and fails nothing. A span holds
the route's template and ids; never an address that was asked for, a header or a body.

Upstream: `infra.control.requests`, whose record it reads. Installed only where somebody traces.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.control.requests import RequestRecord
from infra.keys import is_name
from infra.telemetry import tracing
from infra.telemetry.traceparent import HEADER
from infra.telemetry.tracing import Span

_API = "/v1/"
_UNKNOWN = "HTTP"
"""The method of a request whose method or path is not ours."""


class Traced:
    """See the module for the invariant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Health checks, metrics and pages would bury what somebody looks for.
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        sent = Headers(scope=scope).get(HEADER)
        with tracing.span(_UNKNOWN, kind="server", parent=sent) as span:
            try:
                await self._app(scope, receive, watch)
            finally:
                _describe(span, scope, status)


def _describe(span: Span, scope: Scope, status: int) -> None:
    record: RequestRecord = scope["state"]["record"]
    event = str(scope.get("path_params", {}).get("event", ""))
    template = getattr(scope.get("route"), "path", None)
    if template is not None:
        span.named(f"{scope['method']} {template}")
    span.note(
        {
            "http.request.method": scope["method"] if template is not None else "_OTHER",
            "http.route": template,
            "http.response.status_code": status,
            "livepath.project": record.project,
            "livepath.event": event if is_name(event) else None,
            "livepath.request": record.id,
        }
    )
    if status >= 500:
        span.failed(str(status))
