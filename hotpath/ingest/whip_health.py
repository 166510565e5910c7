"""Ingest health of WHIP publishers: rules over reception and stream facts, in words.

Pure. Browsers choose bitrate, frame rate and keyframes themselves, so the words are about network
and computer rather than encoder settings; B-frames and HEVC cannot come this way.

Upstream: `hotpath.ingest.whip_publisher`, once a second. Downstream: `publisher_warning`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hotpath.ingest.health import LONG_GOP_S, LOSSY, MAX_BITRATE_MBPS, Finding, audio_findings
from hotpath.ingest.session import SessionFacts
from hotpath.ingest.statistics import RtpStatistics
from hotpath.media.clock import CLOCK

LOW_BITRATE_MBPS = 0.3
LOW_FRAME_RATE = 12
SLOW_ROUND_TRIP_MS = 300
_SMALL = 320 * 240


@dataclass(frozen=True, slots=True)
class WhipObservation:
    now_ns: int
    rtp: RtpStatistics
    facts: SessionFacts


def whip_findings(
    now: WhipObservation, before: WhipObservation | None, settled: bool
) -> Iterator[Finding]:
    """Everything that holds now."""
    yield from _network(now, before)
    yield from _video(now, before, settled=settled)
    yield from audio_findings(now.facts, settled=settled)


def _network(now: WhipObservation, before: WhipObservation | None) -> Iterator[Finding]:
    if before is not None:
        packets = now.rtp.packets - before.rtp.packets
        missing = now.rtp.missing - before.rtp.missing
        if missing > 0 and missing >= LOSSY * (packets + missing):
            yield Finding(
                "loss",
                f"{missing} of {packets + missing} packets never arrived: use a wired network or "
                "send less (a smaller picture, nothing else on the line).",
            )
    if now.rtp.round_trip_ms > SLOW_ROUND_TRIP_MS:
        yield Finding(
            "latency",
            f"The round trip takes {now.rtp.round_trip_ms:.0f} ms, so lost packets come too late "
            "when sent again: use a nearer server or a better network.",
        )
    if now.rtp.rate_mbps > MAX_BITRATE_MBPS:
        yield Finding(
            "bitrate",
            f"The stream takes {now.rtp.rate_mbps:.0f} Mbit/s: {MAX_BITRATE_MBPS} are enough.",
        )


def _video(
    now: WhipObservation, before: WhipObservation | None, *, settled: bool
) -> Iterator[Finding]:
    video = now.facts.video
    if video is None or (settled and not video.units and not now.rtp.keyframe_requests):
        if settled:
            yield Finding("no-video", "The stream has no video.")
        return
    if settled and not video.keyframes:
        yield Finding(
            "no-keyframe",
            "No keyframe has come though it was asked for: set a keyframe interval of 2 s.",
        )
    if video.keyframes:
        gop = max(video.gop_ticks, (video.last_dts or 0) - (video.last_keyframe_dts or 0))
        if gop > LONG_GOP_S * CLOCK:
            yield Finding(
                "long-gop",
                f"Keyframes are {gop / CLOCK:.1f} s apart though they are asked for: "
                "set a keyframe interval of 2 s.",
            )
    if before is not None and before.facts.video is not None and settled:
        yield from _quality(now, before, video.units - before.facts.video.units)


def _quality(now: WhipObservation, before: WhipObservation, frames: int) -> Iterator[Finding]:
    """What a browser cuts down when it is short of something."""
    fmt = next((f for f in now.facts.formats if f.track == "video"), None)
    seconds = (now.now_ns - before.now_ns) / 1e9
    if fmt is None or seconds <= 0 or frames <= 0:
        return
    rate = frames / seconds
    if rate < LOW_FRAME_RATE:
        yield Finding(
            "low-frame-rate",
            f"Only {rate:.0f} frames a second arrive: the computer is too busy to encode more, or "
            "the picture is still.",
        )
    elif now.rtp.rate_mbps < LOW_BITRATE_MBPS and fmt.width * fmt.height > _SMALL:
        yield Finding(
            "low-bitrate",
            f"Only {now.rtp.rate_mbps:.1f} Mbit/s arrive: the picture is nearly still, or it is "
            "coarse because the network takes no more; then use a wired one.",
        )
