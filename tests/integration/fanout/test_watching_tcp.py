"""Viewers whose network lets no UDP through: RFC 6544 from the offer to the picture."""

import asyncio
from pathlib import Path

import pytest

from hotpath.fanout import choice
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.kernel_border import KernelError
from tests.support.coded import coded
from tests.support.fanout import Plane, until, watching
from tests.support.rtc_client import TcpWire, Wire
from tests.support.rtc_packets import server_of
from tests.support.rtc_viewer import WhepViewer
from tests.support.webrtc import on_air

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("every_wire_is_closed")]


async def tcp(plane: Plane) -> TcpWire:
    return await TcpWire.connect(server_of(plane.service.mux))


async def test_a_media_process_is_watched_over_tcp(tmp_path: Path) -> None:
    with on_air(tmp_path / "data") as node:
        wire = await TcpWire.connect(("127.0.0.1", node.webrtc_port))
        viewer = await WhepViewer.join(node.whep_url, wire)
        frames = await viewer.frames(60)
        assert frames[0].keyframe
        assert [f.stamp_us for f in frames] == sorted(f.stamp_us or 0 for f in frames)
        assert viewer.missing == 0
        metrics = (await asyncio.to_thread(node.media.get, "/metrics")).text
        assert 'livepath_webrtc_sessions{path="tcp"} 1.0' in metrics
        assert 'livepath_webrtc_joins_total{result="playing"} 1.0' in metrics
        assert "livepath_webrtc_send_errors_total{" not in metrics
        viewer.client.shutdown()
        await wire.closed_by_server()
        viewer.client.close()


async def test_from_udp_to_tcp_and_back_no_frame_is_missing(plane: Plane) -> None:
    plane.play()
    udp = await Wire.udp(server_of(plane.service.mux))
    viewer = await WhepViewer.join(plane.whep, udp)
    await viewer.frames(10)
    session = plane.service.sessions[viewer.session_id]
    wires = [await tcp(plane), await Wire.udp(server_of(plane.service.mux)), await tcp(plane)]
    for wire in wires:
        await viewer.move(wire)
        before = len(wire.sizes)
        await viewer.frames(60)
        assert len(wire.sizes) > before + 30
        assert session.path == session.peer.path
        assert session.path is not None
        assert session.path.protocol == ("tcp" if isinstance(wire, TcpWire) else "udp")
    assert viewer.missing == 0
    assert plane.service.viewers.counts.moves == 3
    assert session.viewer is not None
    assert session.viewer.stats().errors == 0
    for wire in (udp, *wires):
        wire.close()
    viewer.client.close()


async def test_a_viewer_that_does_not_read_is_let_go_and_hurts_nobody(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLOOR_AFTER", "OFF_AFTER"):
        monkeypatch.setattr(choice, name, 2 * choice.SECOND)
    plane.play(coded("h264", "opus", seconds=60))
    wire = await tcp(plane)
    stuck = await WhepViewer.join(plane.whep, wire)
    reader = await WhepViewer.join(plane.whep, await tcp(plane))
    await stuck.frames(5)
    session = plane.service.sessions[stuck.session_id]
    wire.hold()
    watched: list[int] = []
    while session.closed is None:
        watched.append(len(await reader.frames(15)))
        wire.send(bytes(stuck.client.request(nominate=True)))  # it says that it is there
    assert session.closed == "cannot-keep-up"
    assert reader.missing == 0
    assert plane.service.sessions.keys() == {reader.session_id}
    other = plane.service.sessions[reader.session_id].viewer
    assert other is not None
    assert other.stats().frames_dropped == other.stats().errors == 0
    stuck.client.close()
    reader.client.close()


async def test_a_viewer_whose_connection_breaks_hurts_nobody_and_may_come_back(
    plane: Plane,
) -> None:
    plane.play()
    wire = await tcp(plane)
    viewer = await WhepViewer.join(plane.whep, wire)
    await viewer.frames(10)
    session = plane.service.sessions[viewer.session_id]
    wire.close()
    await until(lambda: plane.service.kernel.totals().errors)
    async with watching(plane) as other:
        await other.frames("video", 30)
    again = await tcp(plane)
    await viewer.move(again)
    await viewer.frames(10)
    assert session.closed is None
    again.close()
    viewer.client.close()


async def test_a_join_that_fails_is_counted(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KernelError("the kernel takes no viewer")

    monkeypatch.setattr(Kernel, "add_viewer", refuse)
    plane.play()
    viewer = await WhepViewer.join(plane.whep, await tcp(plane))
    await until(lambda: not plane.service.sessions)
    assert plane.service.viewers.joins == {"handler-failed": 1}
    assert plane.service.viewers.left == {"handler-failed": 1}
    viewer.client.close()
