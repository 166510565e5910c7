"""The relay over real sockets, and presigned URLs through it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from infra.storage.objects import ObjectStore
from infra.storage.url import parse_s3_url
from infra.supervisor import Stack, StackOptions
from infra.supervisor import relay as relay_module
from infra.supervisor.ports import reserve_block
from infra.supervisor.relay import Relay
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def relayed(answer: bytes) -> AsyncIterator[int]:
    """The port of a relay before a server that reads to the end, then sends length and `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.read(-1)
        writer.write(str(len(got)).encode() + answer)
        writer.close()

    reservation = reserve_block("127.0.0.1")
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()
    relay = asyncio.create_task(
        Relay("127.0.0.1", reservation.plan.base, target[0], target[1]).run()
    )
    async with server:
        await _until_open(reservation.plan.base)
        yield reservation.plan.base
        relay.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await relay
    reservation.release()


async def _until_open(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.01)


async def test_an_answer_passes_after_the_request_was_closed() -> None:
    async with relayed(b" bytes") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 3_000_000)
        writer.write_eof()
        assert await reader.read(-1) == b"3000000 bytes"
        writer.close()
        await writer.wait_closed()


async def test_connections_beyond_the_limit_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MAX_CONNECTIONS", 0)
    async with relayed(b"") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read(-1) == b""
        writer.close()
        await writer.wait_closed()


async def test_presigned_urls_work_from_outside_while_the_store_stays_inside(
    tmp_path: Path,
) -> None:
    options = StackOptions(
        data_dir=tmp_path,
        host="0.0.0.0",
        advertise="localhost",
        port_base=0,
        only=frozenset({"s3"}),
    )
    async with Stack(options) as stack:
        location = parse_s3_url(stack.endpoints.s3_url)
        store = ObjectStore.from_url(stack.endpoints.s3_url)
        await asyncio.to_thread(store.put, "vod/a", b"content", "text/plain")
        url = store.presign("vod/a", 60)
        assert urlsplit(url).hostname == "localhost"
        assert location.endpoint is not None
        assert urlsplit(url).port != urlsplit(location.endpoint).port
        async with httpx2.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            assert (await client.get(url)).content == b"content"
