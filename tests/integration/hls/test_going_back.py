"""A viewer goes back: origin, spool, uploader and S3 as in production, but for the clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
from prometheus_client import REGISTRY

from hotpath.hls.events import PartReady, SegmentReady
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.server import HlsServer
from hotpath.hls.vault import Vault
from infra.storage.objects import ObjectStore
from tests.support import m3u8
from tests.support.on_air import running
from tests.support.plain_http import NO_TLS
from tests.support.s3 import SeaweedServer
from tests.support.spool import (
    FORMATS,
    KEY,
    PARTS,
    SECOND_NS,
    STARTED_NS,
    Feed,
    Node,
    folder,
    open_session,
    part_bytes,
    segment_bytes,
)
from tests.support.uploader import UploaderProcess

pytestmark = pytest.mark.integration

TRACKS = ("video", "audio")
LIVE = f"/live/{KEY}/"
WINDOW_S, MEMORY_S = 40, 21
SIZE = 20_000
"""Bytes of a part."""


class Programme:
    """Segments of a second go to viewers and to the spool; the clock goes as far as they do."""

    def __init__(self, data: Path, s3_url: str, read_s: float) -> None:
        self.root = data / "spool"
        self.node = Node(self.root)
        self.vault = Vault(
            self.root, partial(ObjectStore.from_url, s3_url), cache_bytes=0, read_s=read_s
        )
        self.now_ms = 0
        self.origin = HlsOrigin(clock_ms=lambda: self.now_ms, vault=self.vault)
        self.live = self.origin.open(
            KEY, "m1", access="public", part_target_ms=250, target_duration_s=1,
            dvr_window_s=WINDOW_S,
        )  # fmt: skip
        self.feed = Feed(open_session(self.node.spool), TRACKS, SIZE)
        for track in TRACKS:
            self.live.init(FORMATS[track], 0, f"init of {track}".encode())

    def segments(self, numbers: range) -> None:
        for msn in numbers:
            self.feed.segment(msn)
            for track in TRACKS:
                self._listed(track, msn)
            self.now_ms += 1000
        self.node.flush()

    def _listed(self, track: str, msn: int) -> None:
        scale = FORMATS[track].timescale
        for part in range(PARTS):
            start, pdt_ns = (msn * PARTS + part) * scale // PARTS, STARTED_NS + msn * SECOND_NS
            duration, first = scale // PARTS, part == 0
            event = PartReady(
                FORMATS[track], 0, msn, part, (), (duration,), start, first, 0, pdt_ns
            )
            self.live.part(event, part_bytes(track, msn, part, SIZE))
        self.live.segment(SegmentReady(FORMATS[track], msn, msn * scale, scale))

    def close(self) -> None:
        self.vault.close()
        self.node.spool.close(5)


@asynccontextmanager
async def on_air(
    data: Path, s3_url: str, read_s: float = 8.0
) -> AsyncIterator[tuple[Programme, httpx2.AsyncClient]]:
    programme = Programme(data, s3_url, read_s)
    server = HlsServer(programme.origin, "127.0.0.1", 0, before_stop=programme.origin.stop)
    try:
        async with running(server) as url:
            limits = httpx2.Limits(max_connections=None)
            async with httpx2.AsyncClient(
                base_url=url, timeout=30, limits=limits, verify=NO_TLS
            ) as client:
                yield programme, client
    finally:
        programme.close()


@asynccontextmanager
async def uploading(programme: Programme, data: Path, s3_url: str) -> AsyncIterator[None]:
    """Until the spool holds no media any more, and after."""
    uploader = UploaderProcess(data, s3_url)
    await asyncio.to_thread(uploader.start)
    try:
        async with asyncio.timeout(30):
            while any(folder(programme.root).path.glob("*/*.m*")):
                await asyncio.sleep(0.02)
        yield
    finally:
        await asyncio.to_thread(uploader.end)


def reads(source: str) -> float:
    value = REGISTRY.get_sample_value("livepath_hls_older_reads_total", {"source": source})
    return value or 0.0


async def whole_window(client: httpx2.AsyncClient, track: str) -> list[int]:
    """Fetches everything that is listed and finds it to be what was published."""
    found = m3u8.parse((await client.get(f"{LIVE}{track}.m3u8")).text)
    assert found.segments[0].map is not None
    assert (await client.get(LIVE + found.segments[0].map)).text == f"init of {track}"
    urls = [LIVE + (segment.uri or "") for segment in found.segments]
    responses = await asyncio.gather(*(client.get(url) for url in urls))
    for segment, response in zip(found.segments, responses, strict=True):
        assert response.status_code == 200
        assert response.content == segment_bytes(track, segment.msn, PARTS, SIZE)
    return [segment.msn for segment in found.segments]


async def as_a_crowd(client: httpx2.AsyncClient, msn: int) -> None:
    """A hundred who seek to the same place are one read or a few; ranges and HEAD are as ever."""
    url, whole = f"{LIVE}m1/video/s{msn}.m4s", segment_bytes("video", msn, PARTS, SIZE)
    stored = reads("store")
    crowd = await asyncio.gather(*(client.get(url) for _ in range(100)))
    assert {response.content for response in crowd} == {whole}
    # Nothing is remembered here, so who comes after the first read is a read of his own.
    assert reads("store") - stored < 30
    part = await client.get(url, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    head = await client.head(url)
    assert head.headers["content-length"] == str(len(whole))


async def test_the_whole_window_is_there_from_the_spool_and_then_from_s3(
    tmp_path: Path, s3_url: str
) -> None:
    async with on_air(tmp_path, s3_url) as (programme, client):
        programme.segments(range(55))
        spooled = reads("spool")
        listed = await whole_window(client, "video")
        assert len(listed) >= WINDOW_S
        old = sum(msn < 55 - MEMORY_S for msn in listed)
        assert reads("spool") - spooled >= old - 1
        async with uploading(programme, tmp_path, s3_url):
            stored = reads("store")
            for track in TRACKS:
                assert await whole_window(client, track) == listed
            assert reads("store") - stored >= 2 * (old - 1)
            await as_a_crowd(client, listed[0])


async def test_s3_that_is_away_costs_who_went_back_and_nobody_else(
    tmp_path: Path, s3_server: SeaweedServer, s3_url: str
) -> None:
    async with on_air(tmp_path, s3_url, read_s=1.0) as (programme, client):
        programme.segments(range(40))
        async with uploading(programme, tmp_path, s3_url):
            old = LIVE + "m1/video/s3.m4s"
            s3_server.freeze()
            try:
                asking = asyncio.gather(*(client.get(old) for _ in range(20)))
                programme.segments(range(40, 45))
                edge = await client.get(f"{LIVE}video.m3u8?_HLS_msn=44")
                assert m3u8.parse(edge.text).segments[-1].msn == 44
                for msn in (30, 44):
                    response = await client.get(f"{LIVE}m1/video/s{msn}.m4s")
                    assert response.content == segment_bytes("video", msn, PARTS, SIZE)
                refused = await asking
            finally:
                s3_server.thaw()
            assert {response.status_code for response in refused} == {503}
            assert refused[0].headers["retry-after"] == "1"
            assert refused[0].headers["cache-control"] == "no-store"
            async with asyncio.timeout(20):
                while (await client.get(old)).status_code != 200:
                    await asyncio.sleep(0.05)
