"""How often one address may try: to publish, or to watch.

Invariant: bounded memory: of many addresses the one longest unused is forgotten. A refused try
costs nothing further, so guessing tokens is slow and a flood of offers is cheap.

Pure: `now` is an argument, ns. Upstream: `hotpath.ingest.whip_service`, before it reads an offer,
and `hotpath.fanout.limits`; both name an address as `hotpath.webrtc.http.line_of` does.
"""

from collections import OrderedDict
from dataclasses import dataclass

_ADDRESSES = 4096
_TELL_NS = 60_000_000_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_ns: int
    tell_ns: int = 0
    """When a refusal is worth a word again."""


class ConnectRate:
    """A token bucket per address; see the module for the invariant."""

    def __init__(self, per_s: float, burst: float) -> None:
        """`per_s`: tries on average, above 0; `burst`: at once."""
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_ns(self, address: str, now: int) -> int:
        """How long until the address may try; 0: now. Takes nothing."""
        bucket = self._buckets.get(address)
        if bucket is None:
            return 0
        missing = 1.0 - self._filled(bucket, now)
        return 0 if missing <= 0 else 1 + int(missing / self._per_s * 1e9)

    def take(self, address: str, now: int) -> bool:
        """Whether the address may try now; then it has tried."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = _Bucket(self._burst, now)
            if len(self._buckets) > _ADDRESSES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        bucket.tokens, bucket.at_ns = self._filled(bucket, now), now
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

    def _filled(self, bucket: _Bucket, now: int) -> float:
        return min(self._burst, bucket.tokens + (now - bucket.at_ns) / 1e9 * self._per_s)
