"""The HTTP server of the media port: HTTP/1.1, or with TLS HTTP/1.1 and HTTP/2.

Upstream: the node. Downstream: the application, by `plain` or `secured`.
"""

import asyncio
import resource
import socket
from collections.abc import Callable
from typing import Any

from hotpath.hls.plain import Limits, PlainServer
from hotpath.hls.port import ServerError, reserve
from hotpath.hls.secured import SecuredServer, Tls

__all__ = ["HlsServer", "ServerError", "Tls"]


class HlsServer:
    """Serves one ASGI application on one port. `start` binds; `run` serves until cancelled.

    Without TLS, an application that has the methods of `exchange.Direct` is asked by those first.
    `port` 0 takes a free port; after `start` the attribute holds the bound one. `before_stop` is
    called first at the stop, to answer requests that are waiting.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        tls: Tls | None = None,
        max_connections: int = 20_000,
        stop_timeout_s: float = 2.0,
        before_stop: Callable[[], None] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._app = app
        self._tls = tls
        self._max_connections = max_connections
        self._stop_timeout_s = stop_timeout_s
        self._before_stop = before_stop
        self._reserved: socket.socket | None = None
        self._ready = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{self.host}:{self.port}"

    def start(self) -> None:
        """Take the port; raises `ServerError` when that is not possible."""
        self._take_port()

    def _take_port(self) -> socket.socket:
        reserved = self._reserved = reserve(self.host, self.port)
        self.port = reserved.getsockname()[1]
        return reserved

    async def ready(self) -> None:
        """Until connections are accepted."""
        await self._ready.wait()

    async def run(self) -> None:
        """Serve until cancelled, then stop within the stop timeout."""
        reserved = self._reserved or self._take_port()
        _raise_file_limit(self._max_connections + 256)
        serving = self._serving()
        try:
            await serving.start(reserved)
            self._ready.set()
            await serving.run()
            raise ServerError(f"the HTTP server on {self.host}:{self.port} stopped by itself")
        finally:
            self._ready.clear()
            if self._before_stop is not None:
                self._before_stop()
            await serving.stop(self._stop_timeout_s)
            reserved.close()
            self._reserved = None

    def _serving(self) -> PlainServer | SecuredServer:
        if self._tls is None:
            return PlainServer(self._app, Limits(self._max_connections))
        return SecuredServer(self._app, self.host, self._tls, self._max_connections)


def _raise_file_limit(wanted: int) -> None:
    """Every connection is a file; take what the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
