"""How many WHIP publishers a node takes, what each may send, and how often one address may try.

Upstream: the node's settings. Downstream: `hotpath.ingest.whip_service` and its sessions.
"""

from dataclasses import dataclass, field

from hotpath.ingest.bitrate import BitrateLimits


@dataclass(frozen=True, slots=True)
class WhipLimits:
    publishers: int = 200
    """0: WHIP takes nobody."""
    connects_per_s: float = 10.0
    """Of one address, on average."""
    connect_burst: float = 60.0
    max_bps: int = 20_000_000
    """A publisher that sends more for `OVER_RATE_S` is ended."""
    keyframe_interval_s: float = 2.0
    """Keyframes are asked for this often, or once a segment where those are shorter."""
    idle_timeout_s: float = 3.0
    """A publisher silent for this long no longer keeps another from publishing."""
    stall_after_s: float = 5.0
    bitrate: BitrateLimits = field(default_factory=BitrateLimits)


OVER_RATE_S = 3
