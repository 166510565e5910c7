"""What came of a publisher between two looks at its totals. Pure.

Upstream: statistics of `hotpath.ingest`, which count from the connect. Downstream: `readings`.
"""

from dataclasses import dataclass

from hotpath.ingest.statistics import Publisher, SrtStatistics, WhipStatistics
from infra.events.readings import SourceReading


@dataclass(frozen=True, slots=True)
class Received:
    """Totals since the connect, and present values, whichever protocol they came by."""

    publisher: Publisher
    at_ns: int
    """Monotonic ns at which they were counted."""
    bytes: int
    packets: int
    lost: int
    resent: int
    pictures: int
    damaged: int
    rate_mbps: float
    rtt_ms: float
    latency_ms: int | None
    silent: bool


def of_srt(now: SrtStatistics) -> Received:
    return Received(
        publisher=now.publisher,
        at_ns=now.at_ns,
        bytes=now.socket.bytes,
        packets=now.socket.packets,
        lost=now.socket.dropped,
        resent=now.socket.retransmitted,
        pictures=now.video_units,
        damaged=now.damaged_units,
        rate_mbps=now.socket.rate_mbps,
        rtt_ms=now.socket.rtt_ms,
        latency_ms=now.socket.latency_ms,
        silent=now.stalled,
    )


def of_whip(now: WhipStatistics) -> Received:
    return Received(
        publisher=now.publisher,
        at_ns=now.at_ns,
        bytes=now.rtp.bytes,
        packets=now.rtp.packets,
        lost=now.rtp.missing,
        resent=now.rtp.retransmitted,
        pictures=now.video_units,
        damaged=now.damaged_units,
        rate_mbps=now.rtp.rate_mbps,
        rtt_ms=now.rtp.round_trip_ms,
        latency_ms=None,
        silent=now.stalled,
    )


def reading_of(now: Received, before: Received | None, *, on_air: bool) -> SourceReading:
    """`before`: of the same publisher; None: this is the first look at it."""
    elapsed_ns = 0 if before is None else now.at_ns - before.at_ns
    shown = SourceReading(
        role=now.publisher.role,
        protocol=now.publisher.protocol,
        on_air=on_air,
        kbps=round(now.rate_mbps * 1000, 1),
        rtt_ms=round(now.rtt_ms, 1),
        latency_ms=now.latency_ms,
        silent=now.silent,
    )
    if before is None or elapsed_ns <= 0:
        return shown
    packets, lost = now.packets - before.packets, now.lost - before.lost
    seconds = elapsed_ns / 1e9
    return shown.model_copy(
        update={
            "kbps": round((now.bytes - before.bytes) * 8 / seconds / 1000, 1),
            "fps": round((now.pictures - before.pictures) / seconds, 2),
            "lost": _share(lost, packets + lost),
            "resent": _share(now.resent - before.resent, packets + lost),
            "damaged": now.damaged - before.damaged,
        }
    )


def _share(part: int, whole: int) -> float:
    return round(min(max(part / whole, 0.0), 1.0), 5) if whole > 0 else 0.0
