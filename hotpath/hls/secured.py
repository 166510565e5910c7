"""HTTP/1.1 and HTTP/2 over TLS: granian, embedded in the media process's event loop.

Granian's embedded mode is marked experimental, so nothing else imports it; the application is plain
ASGI. Upstream: `server`. Downstream: the application.
"""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

from hotpath.hls.port import ServerError

log = structlog.get_logger(__name__)

BACKLOG = 4096
# Incremental: granian's default configuration would replace the handlers of the whole process.
_LOGGING: dict[str, Any] = {
    "version": 1,
    "incremental": True,
    "formatters": {},
    "handlers": {},
    "loggers": {},
}


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path
    key: Path


class SecuredServer:
    """Serves one application on one port; `start` listens."""

    def __init__(self, app: Any, host: str, tls: Tls, max_connections: int) -> None:
        self._app = app
        self._host = host
        self._tls = tls
        self._max_connections = max_connections
        self._server: Server | None = None
        self._serving: asyncio.Future[None] | None = None
        self._threads: set[str] = set()

    async def start(self, bound: socket.socket) -> None:
        """Listen on the port that the socket holds."""
        port = bound.getsockname()[1]
        threads = _native_threads()
        self._server = self._granian(port)
        self._serving = asyncio.ensure_future(self._server.serve())
        await self._until_listening(self._serving, port)
        self._threads = _native_threads() - threads

    async def run(self) -> None:
        """Until it stops by itself."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def stop(self, timeout_s: float) -> None:
        """Take no more requests, let answers out for so long, then cut what is left off."""
        server, serving = self._server, self._serving
        if server is None or serving is None:
            return
        if not serving.done():
            server.stop()  # type: ignore[no-untyped-call]
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await asyncio.shield(serving)
        if not serving.done():
            # Connections that are still open must not hold the process.
            log.warning("http connections cut off at stop")
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
        await self._until_threads_end(timeout_s / 4)

    def _granian(self, port: int) -> Server:
        return Server(
            self._app,
            address=self._host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=BACKLOG,
            # Idle keep-alive connections count too, so this is the connection limit.
            backpressure=self._max_connections,
            http1_settings=HTTP1Settings(header_read_timeout=15_000),
            http2_settings=HTTP2Settings(
                max_concurrent_streams=1000, keep_alive_interval=30_000, max_headers_size=64 * 1024
            ),
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
            ssl_cert=self._tls.certificate,
            ssl_key=self._tls.key,
            ssl_protocol_min=SSLProtocols.tls12,
        )

    async def _until_listening(self, serving: asyncio.Future[None], port: int) -> None:
        """Granian does not say when it listens, so ask the port."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host = "127.0.0.1" if self._host in ("0.0.0.0", "") else self._host  # noqa: S104
        host = "::1" if host == "::" else host
        while not serving.done():
            try:
                _, writer = await asyncio.open_connection(host, port, ssl=context)
            except ConnectionRefusedError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return
        await serving
        raise ServerError(f"the HTTP server on {self._host}:{port} stopped as it started")

    async def _until_threads_end(self, timeout_s: float) -> None:
        """Granian's threads call into Python; one that outlives the interpreter aborts it."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        # Threads that are not ours signal nothing.
        while self._threads & _native_threads() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def _native_threads() -> set[str]:
    """Ids of this process's threads, those that Python did not start included."""
    try:
        return set(os.listdir("/proc/self/task"))
    except FileNotFoundError:  # not Linux
        return set()
