"""The HTTP server: HTTP/2, TLS, the port, an ordered stop."""

import asyncio
import ssl
from pathlib import Path

import httpx2
import pytest
from granian.server.embed import Server

from hotpath.hls.origin import HlsOrigin
from hotpath.hls.secured import SecuredServer
from hotpath.hls.server import HlsServer, ServerError
from tests.support.blocking import blocked
from tests.support.coded import coded, marked
from tests.support.on_air import KEY, LIVE, on_air, playlist, running
from tests.support.plain_http import NO_TLS
from tests.support.secured import self_signed, trusting

pytestmark = pytest.mark.integration


async def test_http_2_takes_many_requests_at_once(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    context = trusting(tls, "h2")
    server = HlsServer(HlsOrigin(), "127.0.0.1", 0, tls=tls)
    async with running(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        settings = b"\0\0\0\4\0\0\0\0\0"
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        header = await reader.readexactly(9)
        assert header[3] == 4  # SETTINGS
        values = await reader.readexactly(int.from_bytes(header[:3], "big"))
        pairs = {
            int.from_bytes(values[at : at + 2], "big"): int.from_bytes(
                values[at + 2 : at + 6], "big"
            )
            for at in range(0, len(values), 6)
        }
        assert pairs[3] == 1000  # MAX_CONCURRENT_STREAMS
        writer.transport.abort()


async def test_a_port_that_is_taken_is_an_error_not_a_share() -> None:
    async with on_air() as (_, client):
        second = HlsServer(HlsOrigin(), "127.0.0.1", client.base_url.port or 0)
        with pytest.raises(ServerError, match="taken"):
            second.start()


async def test_stopping_answers_whoever_waits_and_frees_the_port() -> None:
    origin = HlsOrigin()
    origin.open(KEY, "k1", access="public", part_target_ms=215, target_duration_s=2)
    server = HlsServer(origin, "127.0.0.1", 0, before_stop=origin.stop)
    async with httpx2.AsyncClient(timeout=30, verify=NO_TLS) as client:
        async with running(server) as url:
            task = await blocked(origin, client.get(url + LIVE + "index.m3u8"))
        assert (await task).status_code == 503
        assert origin.waiting == 0
    again = HlsServer(origin, "127.0.0.1", server.port)
    async with running(again):
        assert again.port == server.port


async def test_a_server_that_stops_by_itself_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Server] = []
    granian = SecuredServer._granian

    def noting(self: SecuredServer, port: int) -> Server:
        made.append(granian(self, port))
        return made[-1]

    monkeypatch.setattr(SecuredServer, "_granian", noting)
    server = HlsServer(HlsOrigin(), "127.0.0.1", 0, tls=self_signed(tmp_path))
    task = asyncio.create_task(server.run())
    await server.ready()
    made[0].stop()  # type: ignore[no-untyped-call]
    with pytest.raises(ServerError, match="by itself"):
        await task


async def test_players_wait_over_tls_as_they_do_without(tmp_path: Path) -> None:
    async with on_air(tls=self_signed(tmp_path)) as (programme, client):
        programme.load(marked(coded()))
        index = await blocked(programme.origin, client.get(LIVE + "index.m3u8"))
        await programme.publish_until(1, 0)
        assert (await index).status_code == 200
        reload = await blocked(
            programme.origin, client.get(LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=1")
        )
        await programme.publish_until(1, 1)
        assert (await reload).status_code == 200
        hint = (await playlist(client, "video.m3u8")).hint
        assert hint is not None
        part = await blocked(programme.origin, client.get(LIVE + hint))
        await programme.publish_until(1, 2)
        assert (await part).headers["content-type"] == "video/mp4"
        head = await client.head(LIVE + hint)
        assert head.headers["content-length"] == (await part).headers["content-length"]


async def test_tls_is_1_2_or_newer_and_offers_http_2(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    context = trusting(tls, "h2", "http/1.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = HlsServer(HlsOrigin(), "127.0.0.1", 0, tls=tls)
    async with running(server):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        secured = writer.get_extra_info("ssl_object")
        assert (secured.version(), secured.selected_alpn_protocol()) == ("TLSv1.2", "h2")
        writer.close()
        await writer.wait_closed()
