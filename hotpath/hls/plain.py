"""HTTP/1.1 without TLS, on the event loop itself: a request costs no task and no other thread.

A connection begins with a protocol that knows simple requests (`head`) and has them answered by
applications that take them as they are (`exchange.Direct`). At the first request of another kind
(WHIP, WHEP, whatever has a body or several at once) uvicorn's protocol has the connection, and the
application the request as ASGI.

Invariant: answers leave in the order of their requests; a client that does not read has at most one
answer and what the transport buffers; a connection on which no whole head comes in time is closed.
Upstream: `server`. Downstream: the application.
"""

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import Any, cast

import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from hotpath.hls.exchange import Direct, Request, Response
from hotpath.hls.head import MAX_HEAD, simple
from hotpath.hls.reply import TEXT_TYPE, http_date

log = structlog.get_logger(__name__)

BACKLOG = 4096
JOINED = 4096
"""Bodies up to this size leave in one buffer with their head."""
_CLOSE = b"connection: close\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    connections: int
    head_s: float = 15.0
    """From the first byte of a request to the end of its head."""
    idle_s: float = 75.0
    """Between requests."""
    sweep_s: int = 5
    """Between looks for what is overdue."""


class Connection(asyncio.Protocol):
    """One client, as long as its requests are simple; see the module for the invariant."""

    __slots__ = (
        "_asked", "_client", "_direct", "_full", "_held", "_last", "_server", "deadline",
        "transport", "unsent",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, server: "PlainServer", direct: Direct) -> None:
        self._server = server
        self._direct = direct
        self._client = ""
        self._asked: Request | None = None
        """What an answer is out for."""
        self._last = False
        """The connection ends with that answer."""
        self._held = b""
        """What has come and cannot be taken yet."""
        self._full = False
        """The client does not read what was sent."""
        self.deadline = server.loop.time() + server.limits.idle_s
        """For the end of the next head."""
        self.unsent = 0
        """What had not been sent when that was overdue the last time."""

    def overdue(self, now: float) -> bool:
        return self._asked is None and now >= self.deadline

    def shutdown(self) -> None:
        """No more requests after the one that is being answered."""
        if self._asked is not None:
            self._last = True
        else:
            self.transport.close()

    # ---- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and asked.left is not None:
            asked.left()
            asked.left = None
        self._server.lost(self)

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        if self._asked is None and not self._full:
            self._held = b""
            self._take(data)
            return
        self._held = data
        if len(data) > MAX_HEAD:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    # ---- requests and answers

    def _take(self, data: bytes) -> None:
        head = simple(data)
        if head is None:
            self._not_simple(data)
            return
        method, path, query, fields = head
        self._last = fields.close
        request = self._asked = Request(
            method, path, query, fields.by_name, self._respond, client=self._client
        )
        try:
            taken = self._direct.receive(request)
        except Exception:
            log.exception("a request failed")
            self._refuse(500, "internal server error")
            return
        if not taken:
            self._asked = None
            self._server.hand_over(self, data)

    def _not_simple(self, data: bytes) -> None:
        if b"\n\r\n" in data or b"\n\n" in data:
            self._server.hand_over(self, data)
        elif len(data) > MAX_HEAD:
            self._refuse(431, "the head of the request is too large")
        else:
            self._held = data
            head_s = self._server.limits.head_s
            self.deadline = min(self.deadline, self._server.loop.time() + head_s)

    def _respond(self, response: Response) -> None:
        asked, self._asked = self._asked, None
        if asked is None:
            return
        asked.left = None  # it leads back to the request
        server, transport = self._server, self.transport
        if transport.is_closing():
            return
        tail = _CLOSE + server.last_header if self._last else server.last_header
        if len(response.body) <= JOINED:
            transport.write(b"".join((response.head, tail, response.body)))
        else:
            transport.writelines((response.head + tail, response.body))
        if self._last:
            transport.close()
            return
        self.deadline = server.loop.time() + server.limits.idle_s
        if self._held:
            self._go_on()

    def _go_on(self) -> None:
        """Take what has come meanwhile."""
        if self._held and self._asked is None and not (self._full or self.transport.is_closing()):
            held, self._held = self._held, b""
            self.transport.resume_reading()
            self._take(held)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer without asking the application; the connection ends."""
        self._asked = Request("GET", "", "", {}, self._respond)
        self._last = True
        body = reason.encode() + b"\n"
        headers = ((b"content-type", TEXT_TYPE), (b"content-length", b"%d" % len(body)))
        self._respond(Response(status, headers, body))


class General(H11Protocol):
    """One client whose requests may be anything, for the application as ASGI."""

    def __init__(self, server: "PlainServer") -> None:
        super().__init__(server.config, server.state, {}, server.loop)
        self._server = server
        self.deadline = self.loop.time() + server.limits.idle_s
        self.unsent = 0

    def overdue(self, now: float) -> bool:
        idle = self.cycle is None or self.cycle.response_complete
        return idle and now >= self.deadline

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.lost(self)

    def data_received(self, data: bytes) -> None:
        self.deadline = min(self.deadline, self.loop.time() + self._server.limits.head_s)
        super().data_received(data)

    def on_response_complete(self) -> None:
        self.deadline = self.loop.time() + self._server.limits.idle_s
        super().on_response_complete()


class PlainServer:
    """Serves one application on one socket. `start` listens, `run` looks after, `stop` ends it."""

    def __init__(self, app: Any, limits: Limits) -> None:
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.config = Config(
            app,
            http="h11",
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(limits.idle_s) + 1,
        )
        self.state = ServerState()
        self.last_header = b""
        """Date and the empty line."""
        self._direct = app if isinstance(app, Direct) else None
        self._connections: set[Connection | General] = set()
        self._left = asyncio.Event()
        self._listener: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def start(self, bound: socket.socket) -> None:
        """Listen on a bound socket."""
        self._tell_time()
        self._listener = await self.loop.create_server(self._client, sock=bound, backlog=BACKLOG)

    async def run(self) -> None:
        """Keep the time and close what is overdue, until cancelled."""
        while True:
            for _ in range(self.limits.sweep_s):
                await asyncio.sleep(1)
                self._tell_time()
            now = self.loop.time()
            for connection in [one for one in self._connections if one.overdue(now)]:
                self._expire(connection, now)

    async def stop(self, timeout_s: float) -> None:
        """Take no more requests, let answers out for so long, then cut what is left off."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self._connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(timeout_s):
                await self._all_gone()
        except TimeoutError:
            log.warning("http connections cut off at stop", connections=len(self._connections))
            for connection in list(self._connections):
                connection.transport.abort()
            await self._all_gone()
        for task in self.state.tasks:
            task.cancel()

    # ---- called by connections

    def joined(self, connection: Connection | General) -> None:
        self._connections.add(connection)
        if len(self._connections) > self.limits.connections:
            connection.transport.abort()

    def lost(self, connection: Connection | General) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._left.set()

    def hand_over(self, connection: Connection, data: bytes) -> None:
        """Let uvicorn's protocol have the connection, from this data on."""
        self._connections.discard(connection)
        transport, general = connection.transport, General(self)
        transport.set_protocol(general)
        general.connection_made(transport)
        general.data_received(data)

    # ---- inside

    def _client(self) -> Connection | General:
        return General(self) if self._direct is None else Connection(self, self._direct)

    def _expire(self, connection: Connection | General, now: float) -> None:
        """Close it; who still reads an answer may do so as long as he does."""
        transport = connection.transport
        unsent = transport.get_write_buffer_size()
        if not unsent:
            transport.close()
        elif unsent == connection.unsent:
            transport.abort()
        else:
            connection.unsent, connection.deadline = unsent, now + self.limits.idle_s

    async def _all_gone(self) -> None:
        while self._connections:
            self._left.clear()
            await self._left.wait()

    def _tell_time(self) -> None:
        date = http_date(int(time.time()))
        self.last_header = b"date: %s\r\n\r\n" % date
        self.state.default_headers = [(b"date", date)]
