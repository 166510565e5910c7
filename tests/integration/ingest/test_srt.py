"""Real encoders (ffmpeg) on a real port."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hotpath.ingest.errors import ListenError
from hotpath.ingest.metrics import IngestCollector
from hotpath.ingest.srt import SrtIngest
from hotpath.media.unit import Unit
from infra.publishers import Role
from tests.support.ingest import RecordingSink, entry, serving, srt_url, until
from tests.support.media import publishing, units_of

pytestmark = pytest.mark.integration

A, B = entry("ev_a"), entry("ev_b")


def assert_whole(frames: list[Unit]) -> None:
    """All of the stream, but for what ffmpeg itself drops: it closes its socket at the end of the
    file without waiting until libsrt has sent the last packets (up to two PES)."""
    assert len(frames) in (119, 120)
    assert not any(f.damaged for f in frames[:-1])


async def test_two_publishers_share_one_port_and_every_frame_arrives(stream: Path) -> None:
    audio = [u.data for u in units_of(stream) if u.track == "audio"]
    async with serving(A, B) as (ingest, sink):
        with (
            publishing(stream, srt_url(ingest.port, A)),
            publishing(stream, srt_url(ingest.port, B)),
        ):
            await until(lambda: len(sink.ended) == 2)
        assert {p.event for p in sink.publishers} == {"ev_a", "ev_b"}
        for publisher in sink.publishers:
            frames = sink.track(publisher.id, "video")
            assert_whole(frames)
            assert [f.keyframe for f in frames[:31:30]] == [True, True]
            heard = [u.data for u in sink.track(publisher.id, "audio")]
            assert heard == audio[: len(heard)]
            assert len(heard) >= len(audio) - 26
        assert set(sink.ended.values()) == {"connection-lost"}
        assert sink.refusals == []


async def test_access_control_streamids_are_taken_too(stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        url = srt_url(ingest.port, A).replace(
            f"streamid=ev_a/{A.key}",
            f"streamid=#!::r=ev_a,m=publish,u={A.key},livepath_role=backup",
        )
        with publishing(stream, url):
            await until(lambda: sink.units)
        assert sink.publishers[0].place == ("ev_a", Role.BACKUP)


async def test_ipv6(stream: Path) -> None:
    async with serving(A, host="::1") as (ingest, sink):
        with publishing(stream, srt_url(ingest.port, A, host="[::1]")):
            await until(lambda: sink.units)
        assert sink.publishers[0].peer.startswith("[::1]:")


async def test_a_dual_stack_port_takes_ipv4(stream: Path) -> None:
    async with serving(A, host="::") as (ingest, sink):
        with publishing(stream, srt_url(ingest.port, A)):
            await until(lambda: sink.units)


async def test_a_killed_encoder_is_lost_and_may_come_back(long_stream: Path) -> None:
    async with serving(A, idle_timeout_ms=1000) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, A)) as encoder:
            await until(lambda: sink.units)
            encoder.kill()
            await until(lambda: 1 in sink.ended)
        with publishing(long_stream, srt_url(ingest.port, A)):
            await until(lambda: sink.track(2, "video"))
        assert sink.order[:3] == ["connected 1", "ended 1", "connected 2"]


async def test_a_stalled_encoder_is_reported_and_stays(long_stream: Path) -> None:
    async with serving(A, idle_timeout_ms=20_000, stall_after_s=1.0) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, A)) as encoder:
            await until(lambda: sink.units)
            os.kill(encoder.pid, signal.SIGSTOP)
            await until(lambda: "stalled" in sink.codes())
            assert ingest.statistics()[0].stalled
            before = len(sink.units[1])
            os.kill(encoder.pid, signal.SIGCONT)
            await until(lambda: len(sink.units[1]) > before)
        assert len([w for w in sink.warnings if w[1] == "stalled"]) == 1


async def test_the_node_can_disconnect_a_publisher(long_stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, A)):
            await until(lambda: sink.units)
            ingest.disconnect(99, "nobody")
            ingest.disconnect(sink.publishers[0].id, "programme-closed")
            await until(lambda: sink.ended)
        assert sink.ended == {1: "programme-closed"}


async def test_closing_or_rotating_an_event_disconnects_its_publisher(long_stream: Path) -> None:
    async with serving(A, B) as (ingest, sink):
        with (
            publishing(long_stream, srt_url(ingest.port, A)),
            publishing(long_stream, srt_url(ingest.port, B)),
        ):
            await until(lambda: len(sink.units) == 2)
            ingest.set_table([entry("ev_a", is_open=False), entry("ev_b", generation=2)])
            await until(lambda: len(sink.ended) == 2)
        reasons = {p.event: sink.ended[p.id] for p in sink.publishers}
        assert reasons == {"ev_a": "event-closed", "ev_b": "rotated-key"}


async def test_stopping_the_node_ends_every_publisher(long_stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, A)):
            await until(lambda: sink.units)
    assert sink.ended == {1: "node-stopping"}


async def test_statistics_are_exported_by_event_and_never_by_peer(long_stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        registry = CollectorRegistry()
        registry.register(IngestCollector(ingest))
        with publishing(long_stream, srt_url(ingest.port, A)):
            await until(lambda: any(s.video_units for s in ingest.statistics()))
            text = generate_latest(registry).decode()
        assert 'livepath_ingest_packets_total{event="ev_a",role="primary"}' in text
        assert 'livepath_ingest_latency_seconds{event="ev_a",role="primary"} 0.4' in text
        assert "127.0.0.1" not in text
        assert sink.publishers[0].peer.startswith("127.0.0.1:")


async def test_garbage_on_the_port_costs_a_running_publisher_nothing(stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        with (
            publishing(stream, srt_url(ingest.port, A)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise,
        ):
            noise.connect(("127.0.0.1", ingest.port))
            rounds = 0
            while not sink.ended:
                for size in (0, 1, 15, 16, 64, 1316, 1500):
                    noise.send(os.urandom(size))
                    noise.send(b"\x80\0\0\0" + os.urandom(size))  # looks like a handshake
                rounds += 1
                await asyncio.sleep(0.005)
        assert rounds > 50
        assert_whole(sink.track(1, "video"))
        assert sink.refusals == []


def test_a_port_in_use_is_said_with_the_fix() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with pytest.raises(ListenError, match="LIVEPATH_SRT_PORT"):
            SrtIngest("127.0.0.1", port, 120, RecordingSink())


def test_a_host_that_does_not_resolve_is_said() -> None:
    with pytest.raises(ListenError, match="cannot be resolved"):
        SrtIngest("no-such-host.invalid", 0, 120, RecordingSink())
