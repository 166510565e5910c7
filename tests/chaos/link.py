"""The way from the cold path to its S3 server, and what is wrong with it at times.

    with AilingLink(server_port) as link:
        url = f"http://127.0.0.1:{link.port}"
        link.ail(Ailment.REFUSES)
        link.heal()

Invariant: while nothing is wrong every byte passes as it came; what is wrong concerns connections
that are open already as well as new ones. Upstream: dispatcher and workers. Downstream: SeaweedFS.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from enum import StrEnum
from typing import Self

_REFUSAL = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>reduce your rate</Message></Error>'
)
_503 = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_REFUSAL), _REFUSAL)
)
_GO_ON = b"HTTP/1.1 100"
_PATIENCE_S = 2.0


class Ailment(StrEnum):
    REFUSES = "refuses"
    """Every request is answered by 503."""
    HANGS = "hangs"
    """Connections stay, nothing passes until it is over, then all of it."""
    CUTS = "cuts"
    """Requests pass, and are carried out; the connection ends when the answer comes."""
    GONE = "gone"
    """Connections are reset."""


class AilingLink:
    """A relay on a thread of its own."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.hit: Counter[Ailment] = Counter()
        """Connections that each ailment struck."""
        self._server_port = server_port
        self._ailment: Ailment | None = None
        self._loop = asyncio.new_event_loop()
        self._passes = asyncio.Event()
        self._passes.set()
        self._open: set[asyncio.StreamWriter] = set()
        """Towards the clients."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link")

    def ail(self, ailment: Ailment) -> None:
        self._loop.call_soon_threadsafe(self._set, ailment)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._set, None)

    def _set(self, ailment: Ailment | None) -> None:
        self._ailment = ailment
        if ailment is Ailment.HANGS:
            self._passes.clear()
            self.hit[ailment] += len(self._open)
        else:
            self._passes.set()
        if ailment in (Ailment.REFUSES, Ailment.GONE):
            # A request that is under way gets no answer; the next one a refusal.
            for writer in self._open:
                self._strike(ailment, writer)

    def _strike(self, ailment: Ailment, writer: asyncio.StreamWriter) -> None:
        self.hit[ailment] += 1
        writer.transport.abort()

    async def _connected(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(back)
        try:
            with contextlib.suppress(OSError):
                await self._serve(client, back)
        finally:
            self._open.discard(back)
            await _closed(back)
            self._tasks.discard(task)

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if not self._passes.is_set():
            self.hit[Ailment.HANGS] += 1
        await self._passes.wait()
        if self._ailment is Ailment.GONE:
            self._strike(Ailment.GONE, back)
        elif self._ailment is Ailment.REFUSES:
            await self._refuse(client, back)
        else:
            server, there = await asyncio.open_connection("127.0.0.1", self._server_port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(client, there))
                    both.create_task(self._answer(server, back))
            except* OSError:
                back.transport.abort()
            finally:
                await _closed(there)

    async def _refuse(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Answers the request when its head is there, and reads on so that the answer arrives."""
        with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_PATIENCE_S):
                await client.readuntil(b"\r\n\r\n")
                self.hit[Ailment.REFUSES] += 1
                back.write(_503)
                back.write_eof()
                while await client.read(65_536):
                    pass

    async def _carry(self, client: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        while data := await client.read(65_536):
            await self._passes.wait()
            there.write(data)
            await there.drain()
        there.write_eof()

    async def _answer(self, server: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await server.read(65_536):
            await self._passes.wait()
            # "100 Continue" is no answer yet: what was asked for is still to be done.
            if self._ailment is Ailment.CUTS and not _only_go_on(data):
                self._strike(Ailment.CUTS, back)
                raise ConnectionResetError
            back.write(data)
            await back.drain()
        back.close()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks.copy():
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _only_go_on(data: bytes) -> bool:
    return data.startswith(_GO_ON) and data.count(b"HTTP/1.1 ") == 1
