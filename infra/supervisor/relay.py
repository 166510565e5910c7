"""A TCP relay from a public address to a loopback port, byte for byte.

The embedded object store listens on loopback, because its internal ports know no credentials. When
viewers on other machines must fetch presigned URLs, only its S3 port is let out through this. The
Host header, which is part of the signature, passes unchanged.
"""

import asyncio
import contextlib

BUFFER = 256 * 1024
MAX_CONNECTIONS = 256


class Relay:
    """Connections beyond `MAX_CONNECTIONS` are closed at once."""

    def __init__(self, host: str, port: int, target_host: str, target_port: int) -> None:
        self._listen = (host, port)
        self._target = (target_host, target_port)
        self._open = 0

    async def run(self) -> None:
        """Serve until cancelled; raises `OSError` when the address is taken."""
        async with asyncio.TaskGroup() as connections:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                connections.create_task(self._serve(reader, writer))

            server = await asyncio.start_server(accept, *self._listen, limit=BUFFER)
            async with server:
                await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                await self._connect(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*self._target, limit=BUFFER)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_copy(reader, far_writer))
                    group.create_task(_copy(far_reader, writer))
            finally:
                far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the sender is done; half-closes the other side, so that answers still pass."""
    with contextlib.suppress(OSError):
        while data := await reader.read(BUFFER):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
