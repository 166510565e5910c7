"""A real client over loopback: join, decode, reports, and the end."""

import asyncio
import time
from typing import Any

import pytest
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from prometheus_client import CollectorRegistry, generate_latest

from hotpath.fanout.limits import Measured
from hotpath.fanout.metrics import FanoutCollector
from hotpath.fanout.viewer import PLI_EVERY_NS
from hotpath.media.unit import ProgramEnd
from hotpath.node.bridges import Bridges
from infra.telemetry.stages import stage_quantiles
from tests.support import coded as coded_media
from tests.support.coded import coded, marked
from tests.support.fanout import KEY, Plane, Watching, paced, running_plane, until, watching

pytestmark = pytest.mark.integration


def video_receiver(viewer: Watching) -> Any:
    """aiortc sends no feedback on demand, so the tests use what its receiver has inside."""
    receivers: list[RTCRtpReceiver] = viewer.peer.getReceivers()
    return next(r for r in receivers if r.track.kind == "video")


def video_ssrc(plane: Plane, viewer: Watching) -> int:
    return plane.service.sessions[viewer.session_id].randoms.ssrcs.video


async def test_a_viewer_sees_and_hears_the_programme(plane: Plane) -> None:
    plane.play()
    async with watching(plane) as viewer:
        video = await viewer.frames("video", 30)
        audio = await viewer.frames("audio", 20)
    assert (video[0].width, video[0].height) == (320, 180)
    assert len({bytes(frame.planes[0]) for frame in video}) > 20
    assert audio[0].sample_rate == 48_000
    await until(lambda: not plane.service.sessions)
    assert plane.service.viewers.joins == {"playing": 1}
    assert plane.service.viewers.left == {"dtls-closed": 1}
    assert plane.service.gate.viewers == 0


async def test_a_bug_that_one_viewer_brings_out_costs_that_viewer_alone(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(now: int) -> None:
        raise ValueError("a bug of this test")

    plane.play()
    async with watching(plane) as one, watching(plane) as other:
        await one.frames("video", 1)
        await other.frames("video", 1)
        sessions = plane.service.sessions
        monkeypatch.setattr(sessions[one.session_id], "review", bug)
        await until(lambda: one.session_id not in sessions)
        assert plane.service.viewers.left == {"internal-error": 1}
        await other.frames("video", 60)
        await until(lambda: plane.service.gate.viewers == 1)


async def test_a_viewer_without_a_picture_hears(plane: Plane) -> None:
    plane.play()
    async with watching(plane, kinds=["audio"]) as viewer:
        await viewer.frames("audio", 20)
        assert "video" not in viewer.tracks


async def test_a_joiner_gets_the_picture_before_the_next_keyframe(plane: Plane) -> None:
    """The source has one keyframe in 20 s; who comes later starts from the ring."""
    plane.play(coded("h264", None, seconds=20, gop=600))
    async with watching(plane) as first:
        await first.frames("video", 30)
        async with watching(plane) as late:
            (frame,) = await late.frames("video", 1)
            assert frame.width == 320


async def test_viewers_go_on_in_the_next_incarnation(plane: Plane) -> None:
    source = coded("h264", "opus", seconds=2)
    first = plane.tasks.create_task(paced(plane.open(), marked(source)[:-1]))
    async with watching(plane) as viewer:
        await viewer.frames("video", 20)
        await first
        plane.streams[0].publish([ProgramEnd(final=False)])
        later = coded_media.shifted(source.units, {"video": 10 * 90_000, "audio": 10 * 48_000})
        again = coded_media.Coded(source.formats, tuple(later), source.elementary)
        plane.play(again)
        frames = await viewer.frames("video", 60)
        assert frames[-1].pts - frames[0].pts > 8 * 90_000
        assert list(plane.service.sessions) == [viewer.session_id]


async def test_a_change_of_resolution_goes_on_at_its_keyframe(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = coded("h264", None, seconds=2)
    monkeypatch.setattr(coded_media, "WIDTH", 640)
    monkeypatch.setattr(coded_media, "HEIGHT", 360)
    large = coded.__wrapped__("h264", None, 2)
    stream = plane.open()
    writer_items = marked(small)[:-1]
    more = coded_media.Coded(
        large.formats,
        tuple(coded_media.shifted(large.units, {"video": 2 * 90_000})),
        large.elementary,
    )
    plane.tasks.create_task(paced(stream, [*writer_items, *marked(more, msn=10)]))
    async with watching(plane) as viewer:
        sizes = {frame.width for frame in await viewer.frames("video", 80)}
    assert sizes == {320, 640}


async def test_a_request_for_a_picture_is_answered_from_the_ring_twice_a_second_at_most(
    plane: Plane,
) -> None:
    plane.play(coded("h264", None, seconds=20, gop=600))
    async with watching(plane) as viewer:
        await viewer.frames("video", 10)
        receiver, ssrc = video_receiver(viewer), video_ssrc(plane, viewer)
        session, counts = plane.service.sessions[viewer.session_id], plane.service.viewers.counts
        await until(lambda: time.monotonic_ns() - session.attached_ns > PLI_EVERY_NS)
        before, answered = counts.plis, counts.plis_answered
        for _ in range(5):
            await receiver._send_rtcp_pli(ssrc)
        await until(lambda: counts.plis >= before + 5)
        assert counts.plis_answered == answered + 1
        await viewer.frames("video", 30)


async def test_what_was_lost_is_sent_again(plane: Plane) -> None:
    plane.play()
    async with watching(plane) as viewer:
        await viewer.frames("video", 10)
        session = plane.service.sessions[viewer.session_id]
        receiver, ssrc = video_receiver(viewer), video_ssrc(plane, viewer)
        first = session.randoms.sequences[0]
        await receiver._send_rtcp_nack(ssrc, [first, first + 1, first + 2])
        await until(lambda: plane.service.kernel.totals().rtx >= 3)
        assert plane.service.viewers.counts.nacks >= 1


async def test_reports_give_the_round_trip(plane: Plane) -> None:
    plane.play()
    async with watching(plane) as viewer:
        await viewer.frames("video", 10)
        session = plane.service.sessions[viewer.session_id]
        await until(lambda: session.round_trip_ns is not None)
        assert 0 <= (session.round_trip_ns or 0) < 1_000_000_000


async def test_b_frames_and_aac_are_encoded_once_while_somebody_watches() -> None:
    bridges = Bridges()
    async with asyncio.TaskGroup() as tasks:
        owner = tasks.create_task(bridges.run())
        async with running_plane(make_bridge=bridges.make_bridge, linger_s=0.2) as plane:
            plane.play(coded("h264-b", "aac", seconds=40))
            feed = next(plane.service.feeds())
            assert feed.encodes == 0
            async with watching(plane) as one, watching(plane) as other:
                for viewer in (one, other):
                    video = await viewer.frames("video", 20)
                    assert video[0].width == 320
                    await viewer.frames("audio", 20)
                assert feed.encodes == 2
                assert bridges.running() == {"h264-h264": 1, "aac-opus": 1}
            await until(lambda: feed.encodes == 0)
            await until(lambda: not bridges.running())
        owner.cancel()


async def test_past_capacity_joins_are_refused_and_viewers_go_on(plane: Plane) -> None:
    plane.play()
    async with watching(plane) as viewer:
        await viewer.frames("video", 5)
        second = 1_000_000_000
        for tick in range(2):
            now = asyncio.get_running_loop().time()
            at = int(now * second) + tick * second
            plane.service.gate.load.receive(Measured(at, (tick * second,), 0, 1))
        response = await plane.client.post(
            plane.whep,
            content=viewer.peer.localDescription.sdp,
            headers={"content-type": "application/sdp"},
        )
        assert response.status_code == 503
        assert response.json()["type"].endswith("overloaded")
        await viewer.frames("video", 30)


async def test_metrics_tell_what_happened_and_name_nobody(plane: Plane) -> None:
    registry = CollectorRegistry()
    registry.register(FanoutCollector(plane.service))
    plane.play()
    async with watching(plane) as viewer:
        await viewer.frames("video", 10)
        await until(lambda: plane.service.viewers.joins["playing"])
        text = generate_latest(registry).decode()
        assert 'livepath_webrtc_sessions{path="udp"} 1.0' in text
        assert 'livepath_webrtc_joins_total{result="playing"} 1.0' in text
        assert viewer.session_id not in text
        assert KEY.event not in text
    whole = generate_latest().decode()
    assert "sent" in stage_quantiles(whole)
    assert 'livepath_webrtc_join_seconds_count{until="picture"}' in whole
