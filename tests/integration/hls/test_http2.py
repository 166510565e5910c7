"""Requests over HTTP/2, as browsers make them: RFC 9113, through granian to the origin."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hotpath.hls.origin import HlsOrigin
from hotpath.hls.server import HlsServer
from tests.support import m3u8
from tests.support.blocking import waiting
from tests.support.coded import coded, marked
from tests.support.h2_client import Answer, Cut, Http2Client, http2
from tests.support.on_air import KEY, LIVE, OnAir, on_air, running
from tests.support.secured import self_signed, trusting

pytestmark = pytest.mark.integration

MANY = 300
"""Streams of one connection; the server allows 1,000."""


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[OnAir, Http2Client]]:
    """A programme as far as the first part of segment 1, and a connection to its server."""
    tls = self_signed(folder)
    async with on_air(tls=tls) as (programme, client):
        programme.load(marked(coded()))
        await programme.publish_until(1, 0)
        async with http2(str(client.base_url).rstrip("/"), trusting(tls, "h2")) as connection:
            yield programme, connection


async def test_blocked_reloads_of_one_connection_are_answered_together(tmp_path: Path) -> None:
    async with watched(tmp_path) as (programme, connection):
        path = LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=1"
        reloads = [connection.ask(path) for _ in range(MANY)]
        await waiting(programme.origin, MANY)
        # What is there already does not wait behind those who do.
        now = await connection.ask(LIVE + "video.m3u8")
        assert now.status == 200
        assert not any(reload.whole.done() for reload in reloads)
        await programme.publish_until(1, 1)
        answers = await asyncio.gather(*reloads)
        assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
        assert len(m3u8.parse(answers[0].body.decode()).open.parts) == 2
        assert programme.origin.waiting == 0


async def test_playlists_and_the_hinted_part_of_one_connection_wait_side_by_side(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as (programme, connection):
        first = await connection.ask(LIVE + "video.m3u8")
        hint = m3u8.parse(first.body.decode()).hint
        assert hint is not None
        part = connection.ask(LIVE + hint)
        reload = connection.ask(LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=1")
        next_one = connection.ask(LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=2")
        await waiting(programme.origin, 3)
        await programme.publish_until(1, 1)
        assert (await part).headers["content-type"] == "video/mp4"
        assert int(part.headers["content-length"]) == len(part.body)
        assert (await reload).status == 200
        assert not next_one.whole.done()
        await programme.publish_until(1, 2)
        assert (await next_one).status == 200


async def test_head_says_what_get_would_and_sends_nothing(tmp_path: Path) -> None:
    async with watched(tmp_path) as (_, connection):
        for name in ("index.m3u8", "video.m3u8", "k1/video/s1.0.m4s"):
            whole = await connection.ask(LIVE + name)
            head = await connection.ask(LIVE + name, method="HEAD")
            assert (whole.status, head.status) == (200, 200), name
            assert head.body == b""
            assert head.headers["content-length"] == str(len(whole.body)), name
            assert head.headers["content-type"] == whole.headers["content-type"]


async def test_a_range_of_a_file(tmp_path: Path) -> None:
    async with watched(tmp_path) as (_, connection):
        path = LIVE + "k1/video/s1.0.m4s"
        whole = await connection.ask(path)
        part = await connection.ask(path, headers={"range": "bytes=8-99"})
        assert (part.status, part.body) == (206, whole.body[8:100])
        assert part.headers["content-range"] == f"bytes 8-99/{len(whole.body)}"
        beyond = await connection.ask(path, headers={"range": f"bytes={len(whole.body)}-"})
        assert beyond.status == 416


async def test_a_playlist_is_compressed_for_who_wants_it(tmp_path: Path) -> None:
    async with watched(tmp_path) as (_, connection):
        plain = await connection.ask(LIVE + "video.m3u8")
        packed = await connection.ask(LIVE + "video.m3u8", headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body


async def test_a_stream_that_is_reset_waits_no_more(tmp_path: Path) -> None:
    async with watched(tmp_path) as (programme, connection):
        path = LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=1"
        kept, given_up = connection.ask(path), connection.ask(path)
        await waiting(programme.origin, 2)
        connection.reset(given_up)
        await waiting(programme.origin, 1)
        await programme.publish_until(1, 1)
        assert (await kept).status == 200
        assert (await connection.ask(LIVE + "video.m3u8")).status == 200


async def test_a_connection_that_breaks_takes_all_its_waiters_along(tmp_path: Path) -> None:
    path = LIVE + "video.m3u8?_HLS_msn=1&_HLS_part=1"
    async with watched(tmp_path) as (programme, connection):
        kept = connection.ask(path)
        async with http2(connection.url, connection.context) as breaking:
            for _ in range(20):
                breaking.ask(path)
            await waiting(programme.origin, 21)
        await waiting(programme.origin, 1)
        await programme.publish_until(1, 1)
        assert (await kept).status == 200


async def test_stopping_answers_every_stream_that_waits(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    origin = HlsOrigin()
    origin.open(KEY, "k1", access="public", part_target_ms=215, target_duration_s=2)
    server = HlsServer(origin, "127.0.0.1", 0, tls=tls, before_stop=origin.stop)
    waiters: list[Answer] = []
    async with running(server) as url:
        connecting = http2(url, trusting(tls, "h2"))
        connection = await connecting.__aenter__()
        waiters += [connection.ask(LIVE + "index.m3u8") for _ in range(20)]
        await waiting(origin, 20)
    try:
        assert [(await answer).status for answer in waiters] == [503] * 20
        # Whoever asks now is told to go elsewhere, and does not hang.
        with pytest.raises(Cut):
            await connection.ask(LIVE + "index.m3u8")
        assert connection.told_to_go
    finally:
        await connecting.__aexit__(None, None, None)
    assert origin.waiting == 0
