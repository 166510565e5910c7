"""Rules in, words out."""

from dataclasses import replace

import pytest

from hotpath.ingest.health import CLEAR_NS, SETTLE_NS, HealthMonitor, Observation, findings
from hotpath.ingest.session import SessionFacts
from hotpath.ingest.statistics import SocketStatistics
from hotpath.media.access_units import TrackFacts
from hotpath.media.ts import TsCounters
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format

AVC = Format(VIDEO, Codec.H264, 90_000, b"", "avc1.42c01e", 640, 360)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"", "mp4a.40.2")


def good() -> Observation:
    video = TrackFacts(units=60, keyframes=2, gop_ticks=90_000, last_dts=9, last_keyframe_dts=9)
    facts = SessionFacts(TsCounters(), video, TrackFacts(units=90), (AVC, AAC))
    socket = SocketStatistics(packets=1000, rtt_ms=10, rate_mbps=3, latency_ms=120)
    return Observation(0, socket, facts)


def codes(now: Observation, before: Observation | None = None, *, settled: bool = True) -> set[str]:
    return {f.code for f in findings(now, before, settled)}


def with_video(**changes: object) -> Observation:
    now = good()
    assert now.facts.video is not None
    video = replace(now.facts.video, **changes)  # type: ignore[arg-type]
    return replace(now, facts=replace(now.facts, video=video))


def with_socket(**changes: object) -> Observation:
    now = good()
    return replace(now, socket=replace(now.socket, **changes))  # type: ignore[arg-type]


def test_a_good_stream_has_no_findings() -> None:
    assert codes(good(), good()) == set()


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (with_video(b_frames=True), "b-frames"),
        (with_video(interlaced=True), "interlaced"),
        (with_video(gop_ticks=10 * 90_000), "long-gop"),
        (with_video(last_dts=9 + 5 * 90_000), "long-gop"),
        (with_video(keyframes=0), "no-keyframe"),
        (with_socket(rtt_ms=90), "latency"),
        (with_socket(rate_mbps=45), "bitrate"),
        (with_socket(packets=2000, dropped=50), "loss"),
        (with_socket(undecrypted=3), "undecrypted"),
        (replace(good(), facts=replace(good().facts, audio=None)), "no-audio"),
        (replace(good(), facts=replace(good().facts, audio=TrackFacts())), "silent-audio"),
        (
            replace(good(), facts=replace(good().facts, further={"audio-2": TrackFacts()})),
            "silent-audio-2",
        ),
        (replace(good(), facts=replace(good().facts, video=None)), "no-video"),
        (
            replace(
                good(), facts=replace(good().facts, formats=(replace(AVC, codec=Codec.HEVC), AAC))
            ),
            "hevc",
        ),
        (
            replace(good(), facts=replace(good().facts, counters=TsCounters(continuity_errors=2))),
            "continuity",
        ),
    ],
)
def test_a_flaw_is_named(now: Observation, code: str) -> None:
    assert codes(now, good()) == {code}


def test_a_little_loss_that_was_made_good_is_no_finding() -> None:
    assert codes(with_socket(packets=2000, lost=80, dropped=1), good()) == set()


def test_the_words_name_the_fix() -> None:
    (finding,) = findings(with_video(gop_ticks=10 * 90_000), None, True)
    assert finding.message == "Keyframes are 10.0 s apart: set a keyframe interval of 2 s."


def test_a_new_publisher_is_not_judged_on_what_may_still_come() -> None:
    early = replace(good(), facts=replace(good().facts, audio=None))
    assert codes(early, settled=False) == set()


def test_a_lasting_flaw_is_said_once_and_again_after_it_had_gone() -> None:
    monitor = HealthMonitor(findings)
    second = 1_000_000_000
    said = []
    for at in range(60):
        flawed = at < 20 or at >= 40
        now = with_video(b_frames=flawed)
        said += [at for _ in monitor.observe(replace(now, now_ns=SETTLE_NS + at * second))]
    assert said == [0, 40]
    assert 20 * second > CLEAR_NS
