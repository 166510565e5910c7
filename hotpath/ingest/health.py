"""Ingest health: rules over statistics and stream facts, in words for the creator.

Pure. A finding is reported when its condition begins to hold, and again only after it has gone
for `CLEAR_NS`; so a constant flaw is one line, not one a second.

Upstream: `hotpath.ingest.connection`, once a second. Downstream: `publisher_warning`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from hotpath.ingest.session import SessionFacts
from hotpath.ingest.statistics import SocketStatistics
from hotpath.media.clock import CLOCK
from hotpath.media.unit import Codec, Format

CLEAR_NS = 10_000_000_000
SETTLE_NS = 3_000_000_000
"""A new publisher is not judged on what may still come: audio, a second keyframe."""
LONG_GOP_S = 4
LOSSY = 0.01
MAX_BITRATE_MBPS = 30
NARROW_LATENCY = 3


@dataclass(frozen=True, slots=True)
class Observation:
    now_ns: int
    socket: SocketStatistics
    facts: SessionFacts


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    message: str


class Timed(Protocol):
    """What rules look at, once a second."""

    @property
    def now_ns(self) -> int: ...


T = TypeVar("T", bound=Timed)
Rules = Callable[[T, T | None, bool], Iterator[Finding]]
"""Everything that holds now, given what was before and whether the publisher has settled."""


@dataclass(slots=True)
class HealthMonitor(Generic[T]):
    """One publisher's findings over time."""

    rules: Rules[T]
    _started_ns: int | None = None
    _before: T | None = None
    _held_until: dict[str, int] = field(default_factory=dict)

    def observe(self, now: T) -> list[Finding]:
        """Findings that are new."""
        if self._started_ns is None:
            self._started_ns = now.now_ns
        settled = now.now_ns - self._started_ns >= SETTLE_NS
        fresh = []
        for finding in self.rules(now, self._before, settled):
            if self._held_until.get(finding.code, 0) <= now.now_ns:
                fresh.append(finding)
            self._held_until[finding.code] = now.now_ns + CLEAR_NS
        self._before = now
        return fresh


def findings(now: Observation, before: Observation | None, settled: bool) -> Iterator[Finding]:
    """Everything that holds now, for SRT."""
    yield from _transport(now, before, settled=settled)
    yield from _video(now, settled=settled)
    yield from audio_findings(now.facts, settled=settled)


def _transport(now: Observation, before: Observation | None, *, settled: bool) -> Iterator[Finding]:
    current = now.socket
    if before is not None:
        past = before.socket
        packets = current.packets - past.packets
        dropped = current.dropped - past.dropped
        if dropped > 0 and dropped >= LOSSY * (packets + dropped):
            yield Finding(
                "loss",
                f"{dropped} of {packets + dropped} packets never arrived: use a wired network, "
                "lower the bitrate or raise the SRT latency.",
            )
        if current.undecrypted > past.undecrypted:
            yield Finding(
                "undecrypted", "Packets arrive that do not decrypt: check the passphrase."
            )
        torn = now.facts.counters.continuity_errors - before.facts.counters.continuity_errors
        if torn > 0 and dropped <= 0:
            yield Finding(
                "continuity",
                f"The transport stream has {torn} gaps that the network did not make: "
                "the encoder or its mux drops packets.",
            )
    # libsrt starts with an RTT of 100 ms that it has not measured.
    if settled and current.latency_ms and current.rtt_ms * NARROW_LATENCY > current.latency_ms:
        yield Finding(
            "latency",
            f"The round trip takes {current.rtt_ms:.0f} ms, the SRT latency is "
            f"{current.latency_ms} ms: set it to {4 * current.rtt_ms:.0f} ms or more.",
        )
    if current.rate_mbps > MAX_BITRATE_MBPS:
        yield Finding(
            "bitrate",
            f"The stream takes {current.rate_mbps:.0f} Mbit/s: {MAX_BITRATE_MBPS} are enough.",
        )


def _video(now: Observation, *, settled: bool) -> Iterator[Finding]:
    video = now.facts.video
    fmt = _format(now, "video")
    if video is None:
        if settled:
            yield Finding("no-video", "The stream has no video.")
        return
    if settled and not video.keyframes:
        yield Finding("no-keyframe", "No keyframe has come yet: set a keyframe interval of 2 s.")
    since = (video.last_dts or 0) - (video.last_keyframe_dts or 0) if video.keyframes else 0
    gop = max(video.gop_ticks, since)
    if gop > LONG_GOP_S * CLOCK:
        yield Finding(
            "long-gop",
            f"Keyframes are {gop / CLOCK:.1f} s apart: set a keyframe interval of 2 s.",
        )
    if video.b_frames:
        yield Finding(
            "b-frames",
            "The video has B-frames, which cost delay and one shared encode for WebRTC viewers: "
            "set B-frames to 0 (x264: tune zerolatency).",
        )
    if video.interlaced:
        yield Finding("interlaced", "The video is coded as interlaced: send progressive.")
    if fmt and fmt.codec is Codec.HEVC:
        yield Finding(
            "hevc",
            "The video is HEVC, which many browsers do not play and which costs one shared encode "
            "for WebRTC viewers: send H.264.",
        )


def audio_findings(facts: SessionFacts, *, settled: bool) -> Iterator[Finding]:
    if not settled:
        return
    if facts.audio is None:
        yield Finding("no-audio", "The stream has no audio.")
    elif not facts.audio.units:
        yield Finding("silent-audio", "The stream declares audio, but none has come.")
    for name, further in facts.further.items():
        if not further.units:
            number = name.rpartition("-")[2]
            yield Finding(
                f"silent-{name}", f"The stream declares audio track {number}, but none has come."
            )


def _format(now: Observation, track: str) -> Format | None:
    return next((f for f in now.facts.formats if f.track == track), None)
