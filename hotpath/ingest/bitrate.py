"""What bitrate a WHIP publisher is told it may send (REMB): high at once, less on loss or delay.

Invariant: floor <= estimate <= ceiling. A browser starts at 300 kbit/s and goes no higher than it
is told; told much at the start it goes there within a second, and its own loss control still holds
it back. A queue that grows on the way says sooner than loss that the line is full. Thresholds:
draft-ietf-rmcat-gcc-02 5.5 and 6.

Pure. Upstream: reception reports. Downstream: `hotpath.ingest.whip_publisher`.
"""

from dataclasses import dataclass

_LOW_LOSS, _HIGH_LOSS = 0.02, 0.10
_GROWTH = 1.08
_BACK_OFF = 0.85
_QUEUE_MS = 80.0
_EMPTY_MS = 30.0


@dataclass(frozen=True, slots=True)
class BitrateLimits:
    start_bps: int = 4_000_000
    floor_bps: int = 150_000
    ceiling_bps: int = 8_000_000


class BitrateEstimate:
    def __init__(self, limits: BitrateLimits) -> None:
        self._limits = limits
        self.bps = min(limits.start_bps, limits.ceiling_bps)

    def receive(self, expected: int, lost: int, received_bps: int, queue_ms: float = 0.0) -> int:
        """One second: packets that should have come, and did not at first, the rate, the queue."""
        loss = min(1.0, max(0, lost) / expected) if expected > 0 else 0.0
        if loss > _HIGH_LOSS:
            self.bps = min(self.bps, int(received_bps * (1 - loss / 2)))
        elif queue_ms > _QUEUE_MS:
            self.bps = min(self.bps, int(received_bps * _BACK_OFF))
        elif loss < _LOW_LOSS and queue_ms < _EMPTY_MS and received_bps * 2 > self.bps:
            # Not while the sender uses little of what it has: nothing is learned from that.
            self.bps = int(self.bps * _GROWTH)
        self.bps = max(self._limits.floor_bps, min(self.bps, self._limits.ceiling_bps))
        return self.bps
