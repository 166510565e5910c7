"""A link of a given rate between TCP clients and a server on this machine.

    async with slow_link(server_port) as link:
        url = f"http://127.0.0.1:{link.port}/"
        link.rate = 1_000_000

Invariant: what all connections together carry towards the clients never exceeds `rate` bits a
second, and arrives in pieces as it would over such a link; nothing is lost or reordered. Unlike a
browser's own throttling, which hands over a small body at once and late, this lets a player see
when the first byte came and when the last. Upstream: the clients. Downstream: the server.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PIECE = 1460
"""Bytes of one TCP segment on Ethernet."""


@dataclass
class SlowLink:
    port: int = 0
    rate: float | None = None
    """Bits a second towards the clients; None: as fast as this machine."""
    connections: set["asyncio.Task[None]"] = field(default_factory=set)
    _free_at: float = 0.0
    """When the link has sent what it was given."""

    async def carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Until the source ends or the target is gone."""
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                for at in range(0, len(data), PIECE):
                    if target.is_closing():
                        # What nobody waits for any more takes no time on the link.
                        return
                    await self._pass(data[at : at + PIECE])
                    target.write(data[at : at + PIECE])
                    # The receiver's window: no more under way than it has taken.
                    await target.drain()
        target.close()

    async def _pass(self, piece: bytes) -> None:
        if self.rate is None:
            return
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + 8 * len(piece) / self.rate
        await asyncio.sleep(self._free_at - loop.time())


@asynccontextmanager
async def slow_link(server_port: int) -> AsyncIterator[SlowLink]:
    """A link to that port; connections that are open at the end are closed."""
    link, back = SlowLink(), SlowLink()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        link.connections.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            # A small buffer: what is under way waits on the link and not in front of it.
            source, target = await asyncio.open_connection(
                "127.0.0.1", server_port, limit=8 * PIECE
            )
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(back.carry(reader, target))
                    both.create_task(link.carry(source, writer))
            finally:
                target.close()
        writer.close()
        link.connections.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        link.port = server.sockets[0].getsockname()[1]
        yield link
        server.close()
        for task in link.connections.copy():
            task.cancel()
        await asyncio.gather(*link.connections, return_exceptions=True)
