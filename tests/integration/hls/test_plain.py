"""HTTP/1.1 over real sockets: what a connection may ask, the order of its answers, its limits."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from hotpath.hls.exchange import Application, Request, Response, Scope, Send
from hotpath.hls.plain import Limits, PlainServer
from hotpath.hls.port import reserve

pytestmark = pytest.mark.integration

LARGE = b"x" * 300_000
FLOOD = 64 * 1024 * 1024
"""More than the buffers of two sockets hold."""
HUGE = bytes(FLOOD)
READ = 256 * 1024
ROOMY = Limits(1000)
NO_DATE = re.compile(rb"date: [^\r]*\r\n")


def text(body: bytes) -> Response:
    return Response(200, ((b"content-length", b"%d" % len(body)),), body)


@dataclass
class App(Application):
    """Echoes paths; `/later` is answered by the test, `/asgi/...` and POST go by ASGI."""

    later: list[Request] = field(default_factory=list)
    left: int = 0
    answered: int = 0

    def receive(self, request: Request) -> bool:
        self.answered += 1
        if request.path.startswith("/asgi/"):
            return False
        if request.path == "/later":
            self.later.append(request)
            request.left = self._leave
        elif request.path == "/bug":
            raise ZeroDivisionError
        else:
            body = {"/large": LARGE, "/huge": HUGE}.get(request.path, request.path.encode())
            request.respond(text(body))
        return True

    def _leave(self) -> None:
        self.left += 1

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message["more_body"]
        answer = b"asgi %s %s" % (scope["path"].encode(), body)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *requests: bytes) -> None:
        self.writer.write(b"".join(requests))

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Status, head without the date, body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert NO_DATE.search(head), "no Date"
        found = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
        body = await self.reader.readexactly(int(found[1])) if found else b""
        return int(head.split()[1]), NO_DATE.sub(b"", head), body

    async def ended(self) -> bool:
        """Whether the server has closed it, having sent nothing more."""
        with contextlib.suppress(ConnectionResetError):
            return await self.reader.read(1) == b""
        return True


def get(path: bytes, *lines: bytes, method: bytes = b"GET") -> bytes:
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: x", *lines, b"", b""])


class Served:
    def __init__(self, server: PlainServer, port: int, app: App) -> None:
        self.server = server
        self.port = port
        self.app = app

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def served(limits: Limits = ROOMY) -> AsyncIterator[Served]:
    app = App()
    server = PlainServer(app, limits)
    with reserve("127.0.0.1", 0) as bound:
        await server.start(bound)
        running = asyncio.ensure_future(server.run())
        try:
            async with asyncio.timeout(30):
                yield Served(server, bound.getsockname()[1], app)
        finally:
            running.cancel()
            await server.stop(5.0)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def test_one_connection_serves_many_requests() -> None:
    async with served() as here, here.client() as client:
        for path in (b"/a", b"/b", b"/large"):
            client.send(get(path))
            status, head, body = await client.answer()
            assert (status, body) == (200, LARGE if path == b"/large" else path)
            assert head == b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)


async def test_the_connection_ends_when_the_client_says_so() -> None:
    async with served() as here, here.client() as client:
        client.send(get(b"/a", b"Connection: close"))
        _, head, body = await client.answer()
        assert b"connection: close\r\n" in head
        assert body == b"/a"
        assert await client.ended()


async def test_a_head_may_come_in_pieces() -> None:
    async with served() as here, here.client() as client:
        for byte in get(b"/a", b"Accept: b"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer())[2] == b"/a"


async def test_requests_that_come_together_are_answered_in_order() -> None:
    async with served() as here, here.client() as client:
        client.send(*(get(b"/%d" % number) for number in range(20)))
        found = [(await client.answer())[2] for _ in range(20)]
        assert found == [b"asgi /%d " % number for number in range(20)]


async def test_what_comes_while_an_answer_is_out_is_answered_after_it() -> None:
    async with served() as here, here.client() as client:
        client.send(get(b"/later"))
        await until(lambda: len(here.app.later) == 1)
        client.send(get(b"/a"))
        client.send(get(b"/b"), get(b"/c"))
        await asyncio.sleep(0.01)
        here.app.later[0].respond(text(b"first"))
        found = [(await client.answer())[2] for _ in range(4)]
        assert found[0] == b"first"
        assert [body.split()[-1] for body in found[1:]] == [b"/a", b"/b", b"/c"]


async def test_a_client_that_goes_while_an_answer_is_out_is_noticed_at_once() -> None:
    async with served() as here:
        async with here.client() as client:
            client.send(get(b"/later"))
            await until(lambda: len(here.app.later) == 1)
        await until(lambda: here.app.left == 1)
        here.app.later[0].respond(text(b"to nobody"))


async def test_a_request_with_a_body_goes_by_asgi_and_so_does_what_follows() -> None:
    async with served() as here, here.client() as client:
        client.send(get(b"/a"))
        assert (await client.answer())[2] == b"/a"
        client.send(get(b"/b", b"Content-Length: 3", method=b"POST"))
        client.send(b"xyz")
        assert (await client.answer())[2] == b"asgi /b xyz"
        client.send(get(b"/c"))
        assert (await client.answer())[2] == b"asgi /c "


async def test_what_the_application_does_not_take_goes_by_asgi() -> None:
    async with served() as here, here.client() as client:
        client.send(get(b"/asgi/a"))
        assert (await client.answer())[2] == b"asgi /asgi/a "


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (get(b"/bug"), 500),
    ],
)
async def test_what_cannot_be_answered_ends_the_connection(request_: bytes, status: int) -> None:
    async with served() as here, here.client() as client:
        client.send(request_)
        found = await client.reader.read()
        assert found.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close\r\n" in found.lower()


async def test_http_1_0_is_answered_and_done() -> None:
    async with served() as here, here.client() as client:
        client.send(b"GET /a HTTP/1.0\r\n\r\n")
        assert (await client.reader.read()).endswith(b"asgi /a ")


async def test_a_head_without_end_is_refused() -> None:
    async with served() as here, here.client() as client:
        client.send(b"GET /a HTTP/1.1\r\n")
        for number in range(2000):
            client.send(b"X-%d: %s\r\n" % (number, b"y" * 50))
        assert (await client.answer())[0] == 431
        assert await client.ended()


async def test_what_comes_while_an_answer_is_out_is_held_within_a_bound() -> None:
    async with served() as here, here.client() as client:
        client.send(get(b"/later"))
        await until(lambda: len(here.app.later) == 1)
        client.send(b"x" * FLOOD)
        with pytest.raises(TimeoutError):
            # What is not held stays where it came from, or on the way.
            await asyncio.wait_for(client.writer.drain(), 0.2)
        here.app.later[0].respond(text(b"now"))
        assert (await client.answer())[2] == b"now"


async def test_a_client_that_does_not_read_is_asked_to_before_it_gets_more() -> None:
    async with served() as here, here.client() as client:
        transport = cast(asyncio.Transport, client.writer.transport)
        transport.pause_reading()
        requests = 400
        for _ in range(requests):
            client.send(get(b"/large"))
            await asyncio.sleep(0)
        await asyncio.sleep(0.2)
        assert here.app.answered < requests / 2
        transport.resume_reading()
        for _ in range(requests):
            assert len((await client.answer())[2]) >= len(b"asgi /large ")


async def test_a_connection_on_which_no_request_comes_is_closed() -> None:
    limits = Limits(1000, head_s=0.2, idle_s=0.5, sweep_s=1)
    async with (
        served(limits) as here,
        here.client() as idle,
        here.client() as slow,
        here.client() as general,
        here.client() as blocked,
    ):
        slow.send(b"GET /a HT")
        general.send(get(b"/a", b"Content-Length: 1", method=b"POST"), b"x")
        blocked.send(get(b"/later"))
        assert (await general.answer())[0] == 200
        general.send(b"GET /a HT")
        for client in (idle, slow, general):
            assert await client.ended()
        here.app.later[0].respond(text(b"at last"))
        assert (await blocked.answer())[2] == b"at last"


async def test_who_reads_slowly_may_and_who_stops_reading_is_cut_off() -> None:
    limits = Limits(1000, idle_s=0.2, sweep_s=1)
    async with served(limits) as here, here.client() as slow, here.client() as stopped:
        for client in (slow, stopped):
            client.send(get(b"/huge"))
            await client.reader.readuntil(b"\r\n\r\n")
        await until(lambda: here.server.connections == 2)
        while here.server.connections == 2:
            await slow.reader.readexactly(READ)
            await asyncio.sleep(0.05)
        # It still gets all of it, after that.
        await slow.reader.readexactly(READ)
        assert here.server.connections == 1


async def test_more_connections_than_may_be_are_closed() -> None:
    async with served(Limits(2)) as here, here.client() as one, here.client() as two:
        for client in (one, two):
            client.send(get(b"/a"))
            assert (await client.answer())[2] == b"/a"
        async with here.client() as three:
            assert await three.ended()
        two.writer.transport.abort()
        await until(lambda: here.server.connections == 1)
        async with here.client() as three:
            three.send(get(b"/b"))
            assert (await three.answer())[2] == b"/b"


async def test_a_stop_lets_answers_out_and_takes_no_more_requests() -> None:
    async with served() as here, here.client() as idle, here.client() as blocked:
        blocked.send(get(b"/later"))
        await until(lambda: len(here.app.later) == 1)
        stopping = asyncio.ensure_future(here.server.stop(5.0))
        assert await idle.ended()
        here.app.later[0].respond(text(b"late"))
        _, head, body = await blocked.answer()
        assert b"connection: close\r\n" in head
        assert body == b"late"
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", here.port)


async def test_a_stop_cuts_off_what_does_not_end() -> None:
    async with served() as here, here.client() as blocked:
        blocked.send(get(b"/later"))
        await until(lambda: len(here.app.later) == 1)
        await here.server.stop(0.05)
        assert await blocked.ended()
        assert here.app.left == 1
