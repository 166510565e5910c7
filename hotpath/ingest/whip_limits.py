"""How many WHIP publishers a node takes, and how often one address may try.

Invariant: bounded memory: of many addresses the one longest unused is forgotten. A refused try
costs nothing further, so guessing tokens is slow and a flood of offers is cheap.

Pure. Upstream: `hotpath.ingest.whip_service`, before it reads an offer.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from hotpath.ingest.bitrate import BitrateLimits

_ADDRESSES = 4096
_TELL_NS = 60_000_000_000


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


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_ns: int
    tell_ns: int = 0
    """When a refusal is worth a word again."""


class ConnectRate:
    """A token bucket per address."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, address: str, now: int) -> bool:
        """Whether the address may try now."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = _Bucket(self._burst, now)
            if len(self._buckets) > _ADDRESSES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        gained = (now - bucket.at_ns) / 1e9 * self._per_s
        bucket.tokens = min(self._burst, bucket.tokens + gained)
        bucket.at_ns = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def tells(self, address: str, now: int) -> bool:
        """Whether this refusal is to be audited: a flood must not be a flood of audit lines."""
        bucket = self._buckets.get(address)
        if bucket is None or now < bucket.tell_ns:
            return False
        bucket.tell_ns = now + _TELL_NS
        return True
