"""`python -m edge`: what it says when it can and when it cannot run."""

import asyncio
import os
import signal
import sys

import httpx2
import pytest

from hotpath.hls.edge import Edge
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.server import HlsServer
from tests.support.behind_varnish import CHECK_S, SECRET, need_varnish
from tests.support.on_air import LIVE, running
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration


async def command(origin: str, secret: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge", "--origin", origin, "--port", "0"),
        env=os.environ | {"LIVEPATH_EDGE_SECRET": secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_serves_until_it_is_told_to_stop() -> None:
    need_varnish()
    server = HlsServer(Edge(HlsOrigin(), SECRET, CHECK_S), "127.0.0.1", 0)
    async with running(server) as origin:
        process = await command(origin, SECRET)
        assert process.stdout is not None
        said = (await process.stdout.readline()).decode().split()
        assert said[:1] == ["edge:"], said
        async with httpx2.AsyncClient(timeout=10, verify=NO_TLS) as client:
            assert (await client.get(said[1] + LIVE + "video.m3u8")).status_code == 401
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0


async def refused(origin: str, secret: str = SECRET) -> str:
    process = await command(origin, secret)
    _, said = await process.communicate()
    assert process.returncode == 2
    return said.decode()


async def test_another_secret_is_named() -> None:
    server = HlsServer(Edge(HlsOrigin(), "the-secret-of-another", CHECK_S), "127.0.0.1", 0)
    async with running(server) as origin:
        assert "has another LIVEPATH_EDGE_SECRET" in await refused(origin)


async def test_an_origin_without_edges_is_named() -> None:
    async with running(HlsServer(HlsOrigin(), "127.0.0.1", 0)) as origin:
        assert "knows no edges" in await refused(origin)


async def test_an_origin_that_is_not_there_is_named() -> None:
    assert "no origin answers plain HTTP" in await refused("http://127.0.0.1:1")


@pytest.mark.parametrize("secret", ["", "short", 'a"quote-in-a-long-secret'])
async def test_a_secret_that_cannot_be_one_is_refused(secret: str) -> None:
    assert "16 to 128 letters" in await refused("http://127.0.0.1:1", secret)


async def test_tls_to_the_origin_is_not_pretended() -> None:
    assert "plain HTTP" in await refused("https://127.0.0.1:1")
