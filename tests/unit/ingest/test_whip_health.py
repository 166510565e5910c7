"""Rules for WHIP publishers in, words out."""

from dataclasses import replace

import pytest

from hotpath.ingest.health import HealthMonitor
from hotpath.ingest.session import SessionFacts
from hotpath.ingest.statistics import RtpStatistics
from hotpath.ingest.whip_health import WhipObservation, whip_findings
from hotpath.media.access_units import TrackFacts
from hotpath.media.ts import TsCounters
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format

SECOND = 1_000_000_000
AVC = Format(VIDEO, Codec.H264, 90_000, b"", "avc1.42c01e", 640, 360)
OPUS = Format(AUDIO, Codec.OPUS, 48_000, b"", "opus")


def at(second: int) -> WhipObservation:
    """A good stream, `second` seconds in."""
    video = TrackFacts(
        units=30 * second,
        keyframes=second // 2,
        gop_ticks=180_000,
        last_dts=90_000 * second,
        last_keyframe_dts=90_000 * (second - second % 2),
    )
    facts = SessionFacts(TsCounters(), video, TrackFacts(units=50 * second), (AVC, OPUS))
    rtp = RtpStatistics(packets=200 * second, rate_mbps=1.5, round_trip_ms=20)
    return WhipObservation(second * SECOND, rtp, facts)


def with_video(**changes: object) -> WhipObservation:
    now = at(10)
    assert now.facts.video is not None
    video = replace(now.facts.video, **changes)  # type: ignore[arg-type]
    return replace(now, facts=replace(now.facts, video=video))


def with_rtp(**changes: object) -> WhipObservation:
    return replace(at(10), rtp=replace(at(10).rtp, **changes))  # type: ignore[arg-type]


def codes(now: WhipObservation, *, settled: bool = True) -> set[str]:
    return {f.code for f in whip_findings(now, at(9), settled)}


def test_a_good_stream_has_no_findings() -> None:
    assert codes(at(10)) == set()


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (with_rtp(missing=20), "loss"),
        (with_rtp(round_trip_ms=400), "latency"),
        (with_rtp(rate_mbps=45), "bitrate"),
        (with_rtp(rate_mbps=0.1), "low-bitrate"),
        (with_video(units=275), "low-frame-rate"),
        (with_video(gop_ticks=10 * 90_000), "long-gop"),
        (with_video(last_keyframe_dts=0), "long-gop"),
        (with_video(keyframes=0), "no-keyframe"),
        (with_video(keyframes=0, units=0), "no-video"),
        (replace(at(10), facts=replace(at(10).facts, video=None)), "no-video"),
        (replace(at(10), facts=replace(at(10).facts, audio=None)), "no-audio"),
        (replace(at(10), facts=replace(at(10).facts, audio=TrackFacts())), "silent-audio"),
    ],
)
def test_a_flaw_is_named(now: WhipObservation, code: str) -> None:
    assert codes(now) == {code}


def test_video_that_never_gave_a_keyframe_though_asked_is_not_called_absent() -> None:
    now = with_video(keyframes=0, units=0)
    assert codes(replace(now, rtp=replace(now.rtp, keyframe_requests=3))) == {"no-keyframe"}


def test_repaired_loss_is_no_finding_and_a_start_is_not_judged() -> None:
    assert codes(with_rtp(retransmitted=50, nacks=60)) == set()
    assert codes(replace(at(10), facts=replace(at(10).facts, audio=None)), settled=False) == set()


def test_findings_are_said_once() -> None:
    monitor = HealthMonitor(whip_findings)
    said = [f.code for n in range(1, 30) for f in monitor.observe(replace(at(n), rtp=at(1).rtp))]
    assert said == []
    poor = [replace(at(n), rtp=replace(at(n).rtp, rate_mbps=0.1)) for n in range(30, 40)]
    assert [f.code for now in poor for f in monitor.observe(now)] == ["low-bitrate"]
