"""What the HTTP server stands: idle connections, and crowds of blocked players that walk away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from hotpath.hls.server import Tls
from tests.support.blocking import waiting
from tests.support.coded import coded, marked
from tests.support.on_air import LIVE, on_air, playlist
from tests.support.secured import self_signed, trusting

pytestmark = pytest.mark.integration

IDLE = 650
"""More than five times what granian takes by default, idle ones counted."""
CROWD = 1000


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Tls | None:
    return self_signed(tmp_path) if request.param == "tls" else None


@asynccontextmanager
async def connections(
    client: httpx2.AsyncClient, count: int, tls: Tls | None
) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """So many connections that say nothing."""
    host, port = client.base_url.host, client.base_url.port
    context = None if tls is None else trusting(tls)
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(count):
            writers.append((await asyncio.open_connection(host, port, ssl=context))[1])
        yield writers
    finally:
        for writer in writers:
            writer.transport.abort()


async def test_idle_connections_lock_nobody_out(tls: Tls | None) -> None:
    async with on_air(tls=tls) as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        async with connections(client, IDLE, tls):
            found = await playlist(client, "video.m3u8")
            assert found.segments[-1].msn == 0
            blocked = asyncio.ensure_future(client.get(LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=1"))
            await waiting(programme.origin, 1)
            await programme.publish_until(1, 1)
            assert (await blocked).status_code == 200


async def test_a_crowd_that_leaves_while_blocked_is_cleaned_up(tls: Tls | None) -> None:
    async with on_air(target_duration_s=1, tls=tls) as (programme, client):
        programme.load(marked(coded(), target_duration_s=1))
        await programme.publish_until(1, 0)
        request = f"GET {LIVE}video.m3u8?_HLS_msn=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        async with connections(client, CROWD, tls) as writers:
            for writer in writers:
                writer.write(request)
            await waiting(programme.origin, CROWD)
            assert (await client.get("/healthz")).status_code == 200
        # With TLS nobody tells the origin that they have left; three target durations do.
        await waiting(programme.origin, 0)
        await programme.publish_until(1)
        assert (await playlist(client, "video.m3u8")).segments[-1].msn == 1
