"""The HTTP server: granian, embedded in the media process's event loop.

Granian's embedded mode is marked experimental, so nothing else imports it; the application is plain
ASGI. HTTP/1.1 and HTTP/2 share the port. Upstream: the node. Downstream: `origin`.
"""

import asyncio
import errno
import os
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

log = structlog.get_logger(__name__)

# Incremental: granian's default configuration would replace the handlers of the whole process.
_LOGGING: dict[str, Any] = {
    "version": 1,
    "incremental": True,
    "formatters": {},
    "handlers": {},
    "loggers": {},
}


class ServerError(OSError):
    """The server cannot listen; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path
    key: Path


class HlsServer:
    """Serves one ASGI application on one port. `start` binds; `run` serves until cancelled.

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

    def start(self) -> None:
        """Take the port; raises `ServerError` when that is not possible."""
        self._reserved = _reserve(self.host, self.port)
        self.port = self._reserved.getsockname()[1]

    async def ready(self) -> None:
        """Until connections are accepted."""
        await self._ready.wait()

    async def run(self) -> None:
        """Serve until cancelled, then stop within the stop timeout."""
        if self._reserved is None:
            self.start()
        _raise_file_limit(self._max_connections + 256)
        threads = _native_threads()
        server = self._server()
        serving = asyncio.ensure_future(server.serve())
        try:
            await self._wait_listening(serving)
            threads = _native_threads() - threads
            self._ready.set()
            await asyncio.shield(serving)
            raise ServerError(f"the HTTP server on {self.host}:{self.port} stopped by itself")
        finally:
            self._ready.clear()
            if self._before_stop is not None:
                self._before_stop()
            await self._stop(server, serving)
            await self._wait_threads(threads)
            self._release()

    def _server(self) -> Server:
        tls = self._tls
        return Server(
            self._app,
            address=self.host,
            port=self.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=4096,
            # Idle keep-alive connections count too, so this is the connection limit.
            backpressure=self._max_connections,
            http1_settings=HTTP1Settings(header_read_timeout=15_000),
            http2_settings=HTTP2Settings(
                max_concurrent_streams=1000, keep_alive_interval=30_000, max_headers_size=64 * 1024
            ),
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
            ssl_cert=tls.certificate if tls else None,
            ssl_key=tls.key if tls else None,
            ssl_protocol_min=SSLProtocols.tls12,
        )

    async def _wait_listening(self, serving: asyncio.Future[None]) -> None:
        """Granian does not say when it listens, so ask the port."""
        context = None
        if self._tls is not None:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else self.host  # noqa: S104
        host = "::1" if host == "::" else host
        while not serving.done():
            try:
                _, writer = await asyncio.open_connection(host, self.port, ssl=context)
            except ConnectionRefusedError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return
        await serving
        raise ServerError(f"the HTTP server on {self.host}:{self.port} stopped as it started")

    async def _stop(self, server: Server, serving: asyncio.Future[None]) -> None:
        if not serving.done():
            server.stop()  # type: ignore[no-untyped-call]
            with suppress(TimeoutError):
                async with asyncio.timeout(self._stop_timeout_s):
                    await asyncio.shield(serving)
        if not serving.done():
            # Connections that are still open must not hold the process.
            log.warning("http connections cut off at stop", port=self.port)
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def _wait_threads(self, threads: set[str]) -> None:
        """Granian's threads call into Python; one that outlives the interpreter aborts it."""
        deadline = asyncio.get_running_loop().time() + self._stop_timeout_s / 4
        # Threads that are not ours signal nothing.
        while threads & _native_threads() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None


def _reserve(host: str, port: int) -> socket.socket:
    """A socket that is bound, not listening: it holds the port while granian starts.

    Granian listens with SO_REUSEPORT, with which a second server would share the port unnoticed,
    so whether somebody listens is tried without it first.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            taken = probe.getsockname()[1]
        reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind((host, taken))
        except OSError:
            reserved.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServerError(f"port {port} on {host} is taken by another program") from error
        raise ServerError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return reserved


def _native_threads() -> set[str]:
    """Ids of this process's threads, those that Python did not start included."""
    try:
        return set(os.listdir("/proc/self/task"))
    except FileNotFoundError:  # not Linux
        return set()


def _raise_file_limit(wanted: int) -> None:
    """Every connection is a file; take what the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
