"""Publishers over WHIP through the real transport: aiortc and ffmpeg's own muxer."""

import asyncio
import itertools
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiortc.contrib.media import MediaPlayer
from prometheus_client import CollectorRegistry, generate_latest

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.metrics import IngestCollector
from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.media.unit import AUDIO, VIDEO, Codec
from infra.publishers import Role
from tests.support.ingest import entry, until
from tests.support.media import ffmpeg
from tests.support.network import Conditions, UdpRelay, through
from tests.support.whip import (
    SDP,
    Node,
    Published,
    beeps,
    flashes,
    flashing,
    publish,
    whip_node,
)

pytestmark = pytest.mark.integration

A, FREE = entry("ev_a"), entry("ev_free", takeover=True)


@pytest.fixture(scope="session")
def film(media: Path) -> Path:
    return flashing(media / "flashing.mkv")


@asynccontextmanager
async def publishing(
    node: Node, one: AdmissionEntry, film: Path, relay: UdpRelay | None = None
) -> AsyncIterator[Published]:
    player = MediaPlayer(str(film))
    tracks = [player.audio, player.video]
    bend = (lambda sdp: through(relay, sdp)) if relay else str
    published = await publish(node, one, tracks, bend=bend)
    try:
        yield published
    finally:
        await published.pc.close()


def frames(node: Node, publisher: int) -> int:
    return len(node.sink.track(publisher, VIDEO))


async def test_what_aiortc_publishes_decodes_and_is_in_sync(film: Path) -> None:
    async with whip_node(A) as node:
        async with publishing(node, A, film):
            await until(lambda: frames(node, 1) > 240)
        await until(lambda: node.sink.ended)
        video, audio = node.sink.track(1, VIDEO), node.sink.track(1, AUDIO)
        formats = {f.track: f for f in node.sink.formats[1][-1]}
        (publisher,) = node.sink.publishers
    assert (publisher.event, publisher.protocol) == ("ev_a", "whip")
    assert formats[VIDEO].codec is Codec.H264
    assert (formats[VIDEO].width, formats[VIDEO].height) == (320, 180)
    assert formats[AUDIO].codec is Codec.OPUS
    assert video[0].keyframe
    assert not any(u.damaged for u in video)
    steps = {b.pts - a.pts for a, b in itertools.pairwise(audio)}
    assert steps == {1800}
    seen, heard = flashes(video, formats[VIDEO].config), beeps(audio)
    assert len(seen) >= 6
    for at in seen[:-1]:
        assert min(abs(at - other) for other in heard) < 0.050
    # Browsers and aiortc send keyframes when asked; one a segment is asked for.
    keys = [u.pts for u in video if u.keyframe]
    assert all(b - a <= 2.6 * 90_000 for a, b in itertools.pairwise(keys))
    assert len(keys) >= 4


async def test_ffmpeg_publishes_with_its_whip_muxer(film: Path) -> None:
    async with whip_node(A) as node:
        command = [ffmpeg(), "-v", "error", "-re", "-i", str(film), "-c:v", "libx264"]
        command += ["-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline"]
        command += ["-g", "30", "-c:a", "libopus", "-ar", "48000", "-ac", "2"]
        command += ["-authorization", A.whip_token, "-f", "whip", node.url("ev_a")]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            await until(lambda: frames(node, 1) > 100)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
        await until(lambda: node.sink.ended)
        video, audio = node.sink.track(1, VIDEO), node.sink.track(1, AUDIO)
        formats = {f.track: f for f in node.sink.formats[1][-1]}
    assert not any(u.damaged for u in video)
    seen, heard = flashes(video, formats[VIDEO].config), beeps(audio)
    assert len(seen) >= 2
    for at in seen[:-1]:
        assert min(abs(at - other) for other in heard) < 0.050
    assert node.sink.ended == {1: "unpublished"}


async def test_lost_packets_are_asked_for_and_come_again(film: Path) -> None:
    async with whip_node(A) as node:
        up = Conditions(loss=0.05, delay_ms=10)
        with UdpRelay(("127.0.0.1", node.mux.port), seed=5) as relay:
            async with publishing(node, A, film, relay):
                await until(lambda: frames(node, 1) > 30)
                relay.change(Conditions(delay_ms=10), up=up)
                begin = frames(node, 1)
                await until(lambda: frames(node, 1) > begin + 150)
                await until(lambda: node.ingest.statistics()[0].rtp.retransmitted > 10)
                (statistics,) = node.ingest.statistics()
        video = node.sink.track(1, VIDEO)[begin:]
    good = sum(not u.damaged for u in video)
    assert good >= 0.97 * len(video)
    assert statistics.rtp.nacks >= statistics.rtp.retransmitted


async def test_figures_of_publishers_are_exported_without_their_ids(film: Path) -> None:
    async with whip_node(A) as node, publishing(node, A, film):
        await until(lambda: (s := node.ingest.statistics()) and s[0].rtp.rate_mbps > 0)
        srt = SrtIngest("127.0.0.1", 0, 120, node.sink)
        registry = CollectorRegistry()
        registry.register(IngestCollector(srt, node.ingest))
        await node.http.post(node.url("ev_a"), headers=SDP)
        text = generate_latest(registry).decode()
        task = asyncio.create_task(srt.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert 'livepath_whip_packets_total{event="ev_a",role="primary"}' in text
    assert 'livepath_whip_allowed_bits_per_second{event="ev_a",role="primary"} 4e+06' in text
    assert 'livepath_whip_refused_total{reason="bad-key"} 1.0' in text
    assert "livepath_whip_publishers 1.0" in text
    assert "127.0.0.1" not in text


async def test_delete_ends_the_publisher(film: Path) -> None:
    async with whip_node(A) as node, publishing(node, A, film) as published:
        await until(lambda: frames(node, 1) > 10)
        assert (await node.http.delete(published.session)).status_code == 200
        await until(lambda: node.sink.ended)
        assert node.sink.ended == {1: "unpublished"}
        await until(lambda: published.pc.connectionState == "closed")


async def test_a_second_publisher_is_refused_while_the_first_sends(film: Path) -> None:
    async with (
        whip_node(A, limits=WhipLimits(idle_timeout_s=0.5)) as node,
        publishing(node, A, film) as first,
    ):
        await until(lambda: frames(node, 1) > 10)
        headers = {**SDP, "authorization": f"Bearer {A.whip_token}"}
        offer = first.pc.localDescription.sdp
        refused = await node.http.post(node.url("ev_a"), content=offer, headers=headers)
        assert refused.status_code == 409
        before = frames(node, 1)
        await until(lambda: frames(node, 1) > before + 5)
        # Silent for longer than the idle timeout, it no longer keeps anyone out.
        for sender in first.pc.getSenders():
            await sender.stop()
        await until(lambda: not node.ingest._is_busy(("ev_a", Role.PRIMARY)))
        async with publishing(node, A, film):
            await until(lambda: frames(node, 2) > 10)
        assert node.sink.order[:3] == ["connected 1", "ended 1", "connected 2"]
        assert node.sink.ended[1] == "connection-lost"


async def test_a_second_publisher_takes_over_once_it_is_connected(film: Path) -> None:
    async with whip_node(FREE) as node, publishing(node, FREE, film):
        await until(lambda: frames(node, 1) > 10)
        async with publishing(node, FREE, film):
            await until(lambda: frames(node, 2) > 10)
            assert node.sink.order == ["connected 1", "ended 1", "connected 2"]
            assert node.sink.ended == {1: "taken-over"}


async def test_a_rotated_key_disconnects_the_publisher(film: Path) -> None:
    async with whip_node(A) as node, publishing(node, A, film) as published:
        await until(lambda: frames(node, 1) > 10)
        node.ingest.set_table([entry("ev_a", generation=2)])
        await until(lambda: node.sink.ended)
        assert node.sink.ended == {1: "rotated-key"}
        await until(lambda: published.pc.connectionState == "closed")


async def test_the_node_can_end_a_publisher_and_a_silent_one_is_reported(film: Path) -> None:
    limits = WhipLimits(stall_after_s=0.5)
    async with whip_node(A, limits=limits) as node, publishing(node, A, film) as published:
        await until(lambda: frames(node, 1) > 10)
        for sender in published.pc.getSenders():
            await sender.stop()
        await until(lambda: "stalled" in node.sink.codes())
        assert node.ingest.statistics()[0].stalled
        node.ingest.disconnect(1, "the event is over")
        await until(lambda: node.sink.ended)
        assert node.sink.ended == {1: "the event is over"}


async def test_a_publisher_that_sends_too_much_is_ended(film: Path) -> None:
    limits = WhipLimits(max_bps=1_000)
    async with whip_node(A, limits=limits) as node, publishing(node, A, film):
        await until(lambda: node.sink.ended)
        assert node.sink.ended == {1: "over-limit"}


async def test_a_session_that_connects_too_late_is_ended_as_busy(film: Path) -> None:
    async with whip_node(A) as node:
        # The offer is taken while the event is free; SRT is there before the transport stands.
        with UdpRelay(("127.0.0.1", node.mux.port), Conditions(loss=1.0)) as relay:
            async with publishing(node, A, film, relay) as published:
                node.ingest.set_occupied("ev_a", Role.PRIMARY, True)
                relay.change(Conditions())
                await until(lambda: published.pc.connectionState == "closed")
        assert node.sink.order == []


async def test_a_bug_that_one_stream_brings_out_ends_that_publisher_alone(
    film: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: object) -> None:
        raise ValueError("a bug of this test")

    both = whip_node(A, FREE)
    async with both as node, publishing(node, A, film), publishing(node, FREE, film):
        await until(lambda: len(node.ingest._connected) == 2)
        broken = node.ingest._connected["ev_a", Role.PRIMARY]
        mine = broken.publisher_id
        others = node.ingest._connected["ev_free", Role.PRIMARY].publisher_id
        assert mine is not None
        assert others is not None
        monkeypatch.setattr(broken._publisher, "check", bug)
        monkeypatch.setattr(broken._publisher, "close", bug)
        await until(lambda: node.sink.ended == {mine: "internal error"})
        before = frames(node, others)
        await until(lambda: frames(node, others) > before + 10)
    assert "the end of a WHIP publisher of ev_a failed" in caplog.text
