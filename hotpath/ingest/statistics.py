"""Publishers and their figures. Pure data.

Upstream: `hotpath.ingest.listener` (libsrt), `hotpath.ingest.session`, `hotpath.ingest.whip_*`.
Downstream: health rules, `hotpath.ingest.metrics`, the node.
"""

from dataclasses import dataclass, field
from typing import Literal

from infra.publishers import Place, Role


@dataclass(frozen=True, slots=True)
class Publisher:
    """One accepted connection."""

    id: int
    """Never used twice in a process."""
    project: str
    event: str
    feed: str
    peer: str
    """`address:port`; for logs and audit, never a metric label."""
    connected_ns: int
    protocol: Literal["srt", "whip"] = "srt"
    role: Role = Role.PRIMARY

    @property
    def place(self) -> Place:
        return self.event, self.role


@dataclass(frozen=True, slots=True)
class SocketStatistics:
    """Totals since the connect, and present values (srt_bistats)."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    """Packets missed at first; retransmission brings most of them back."""
    dropped: int = 0
    """Packets that never came in time."""
    undecrypted: int = 0
    belated: int = 0
    retransmitted: int = 0
    rtt_ms: float = 0.0
    rate_mbps: float = 0.0
    buffer_ms: int = 0
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class RtpStatistics:
    """Totals since the connect over the tracks of one WHIP publisher, and present values."""

    packets: int = 0
    """Retransmissions included."""
    bytes: int = 0
    missing: int = 0
    """Packets given up: they never came in time."""
    retransmitted: int = 0
    """Packets that came again because they were asked for."""
    unusable: int = 0
    """Packets that no track could use."""
    nacks: int = 0
    """Packets asked for again."""
    keyframe_requests: int = 0
    round_trip_ms: float = 0.0
    jitter_ms: float = 0.0
    rate_mbps: float = 0.0
    allowed_mbps: float = 0.0
    """What the publisher was told it may send."""


@dataclass(frozen=True, slots=True)
class WhipStatistics:
    """One WHIP publisher, about a second old at most."""

    publisher: Publisher
    rtp: RtpStatistics
    video_units: int = 0
    audio_units: int = 0
    damaged_units: int = 0
    stalled: bool = False
    at_ns: int = 0
    """Monotonic ns at which they were counted."""


@dataclass(frozen=True, slots=True)
class SrtStatistics:
    """One publisher, about a second old at most."""

    publisher: Publisher
    socket: SocketStatistics
    video_units: int = 0
    audio_units: int = 0
    damaged_units: int = 0
    continuity_errors: int = 0
    handover_dropped: int = 0
    """Units dropped because the event loop was behind."""
    stalled: bool = False
    at_ns: int = 0
    """Monotonic ns at which they were counted."""
    early_emission: tuple[str, ...] = field(default=())
    """Per video PID: learning, earned or refused."""
