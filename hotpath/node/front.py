"""The media port's front door: which application answers a path.

    /whip/...                                    WHIP
    [/t/{token}]/live/{p}/{e}/{feed}/whep[/...]  WHEP; the token is handed on out of the path
    everything else                              the LL-HLS origin, behind `hls.edge` if there is a
                                                 secret for edges (/edge/check/...)

One look at the path, so that LL-HLS pays nothing for its neighbours, which know ASGI alone. After
`stop` no request waits for a body that may never come, so none holds the server's stop up.
Upstream: the HTTP server. Downstream: `hotpath.ingest.whip`, `hotpath.fanout.whep`,
`hotpath.hls.origin`.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from hotpath.hls.exchange import Application, Receive, Request, Scope, Send

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN = "livepath.token"  # noqa: S105 - the name of a scope key
_WITH_BODY = ("POST", "PATCH")
_WHEP_DEPTH = 5  # "", "live", project, event, feed, "whep"


class Front:
    """Leads every request to the application that owns its path."""

    def __init__(self, origin: Application, whep: App, whip: App) -> None:
        self._origin = origin
        self._whep = whep
        self._whip = whip
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """The server is about to stop: clients whose bodies are still coming count as gone."""
        self._stopping.set()

    def receive(self, request: Request) -> bool:
        path = request.path
        if path.startswith("/whip/") or ("/whep" in path and _whep(path) is not None):
            return False
        return self._origin.receive(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path.startswith("/whip/"):
            await self._whip(scope, self._bounded(scope, receive), send)
        elif "/whep" in path and (found := _whep(path)) is not None:
            token, inner = found
            # `raw_path` must agree with `path`, or a router could take its own from it.
            changed = {**scope, "path": inner, "raw_path": inner.encode(), TOKEN: token}
            await self._whep(changed, self._bounded(scope, receive), send)
        else:
            await self._origin(scope, receive, send)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        if scope.get("method") not in _WITH_BODY:
            return receive

        async def until_stop() -> MutableMapping[str, Any]:
            asked = asyncio.ensure_future(receive())
            stopping = asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait((asked, stopping), return_when=asyncio.FIRST_COMPLETED)
                return asked.result() if asked.done() else {"type": "http.disconnect"}
            finally:
                asked.cancel()
                stopping.cancel()

        return until_stop


def _whep(path: str) -> tuple[str | None, str] | None:
    """Token and path without it, if the path is one of WHEP's."""
    token = None
    if path.startswith("/t/"):
        token, _, rest = path[3:].partition("/")
        path = "/" + rest
    pieces = path.split("/")
    if len(pieces) > _WHEP_DEPTH and pieces[1] == "live" and pieces[_WHEP_DEPTH] == "whep":
        return token, path
    return None
