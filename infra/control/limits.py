"""Rate limits: how many requests a key, or an address without one, may send.

Invariant: over any stretch of time a subject gets at most its quota, plus what the stretch adds to
it; all control processes count in the same place. When Valkey is away, or slow, requests pass and
are counted: a limit protects the service and must not be what ends it.

GCRA (the leaky bucket as a meter): one number per subject, the time at which its bucket is empty
again. One round trip decides and says what is left, which is why no library is used: those with
the same strategy need a second one for the headers.

Headers: draft-ietf-httpapi-ratelimit-headers-10. Upstream: `infra.control.dependencies`.
"""

import asyncio
import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

ANSWER_S = 0.5
"""Valkey answers in a tenth of a millisecond; whoever waits longer, for a turn or an answer, does
without."""
AT_ONCE = 32
"""Questions, and so connections."""
PAUSE_S = 1.0
"""After a failure nobody asks for so long."""
_KEY = "livepath:limit"
_UNLIMITED = Counter(
    "livepath_control_unlimited_requests",
    "Requests that passed without a rate limit, because Valkey did not answer.",
)
_LIMITED = Counter(
    "livepath_control_limited_requests", "Requests refused by a rate limit.", ["policy"]
)
# Milliseconds with three decimals; a Lua number written plainly keeps 14 digits only.
_TAKE = """
local quota, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local step = window / quota
local empty = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local after = empty + step
local over = after - now - window
if over > 0.0005 then
  return {0, 0, math.ceil(over), math.ceil(empty - now)}
end
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.max(1, math.ceil(after - now)))
return {1, math.floor((window - (after - now)) / step + 0.0005), 0, math.ceil(after - now)}
"""


@dataclass(frozen=True, slots=True)
class Quota:
    """`requests` in `window_s` seconds, all at once if they are not spread; 0: no limit."""

    policy: str
    requests: int
    window_s: int = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one request."""

    quota: Quota
    allowed: bool
    remaining: int
    retry_ms: int
    """Until one request would pass; 0 if this one did."""
    reset_ms: int
    """Until the whole quota is there again."""

    def headers(self) -> Mapping[str, str]:
        """`RateLimit-Policy` and `RateLimit`, and `Retry-After` for who is refused."""
        quota = self.quota
        told = {
            "RateLimit-Policy": f'"{quota.policy}";q={quota.requests};w={quota.window_s}',
            "RateLimit": f'"{quota.policy}";r={self.remaining};t={_seconds(self.reset_ms)}',
        }
        if not self.allowed:
            told["Retry-After"] = str(max(1, _seconds(self.retry_ms)))
        return told


class Limits:
    """The quotas of one deployment; `client` None: nobody counts."""

    def __init__(self, client: Redis | None = None, per_key: int = 0, per_ip: int = 0) -> None:
        self._client = client
        self._take = None if client is None else client.register_script(_TAKE)
        self._per_key = Quota("key", per_key)
        self._per_ip = Quota("ip", per_ip)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._ask_again_at = float("-inf")

    async def take_key(self, key: str) -> Verdict | None:
        """One request with this API key; None when nothing limits it."""
        return await self._of(self._per_key, key)

    async def take_ip(self, ip: str) -> Verdict | None:
        """One request without a valid API key from this address."""
        return await self._of(self._per_ip, network_of(ip))

    def refused_again(self, verdict: Verdict, retry_ms: int) -> Verdict:
        """For who comes before the time that a refusal named, of which `retry_ms` are left. Nobody
        else's requests can have brought that time nearer."""
        _LIMITED.labels(verdict.quota.policy).inc()
        passed_ms = verdict.retry_ms - retry_ms
        reset_ms = max(retry_ms, verdict.reset_ms - passed_ms)
        return replace(verdict, retry_ms=retry_ms, reset_ms=reset_ms)

    async def _of(self, quota: Quota, subject: str) -> Verdict | None:
        if self._take is None or quota.requests == 0:
            return None
        loop = asyncio.get_running_loop()
        if loop.time() < self._ask_again_at:
            _UNLIMITED.inc()
            return None
        try:
            async with asyncio.timeout(ANSWER_S), self._turns:
                answer = await self._take(
                    keys=[f"{_KEY}:{quota.policy}:{subject}"],
                    args=[quota.requests, quota.window_s * 1000],
                )
        except (RedisError, OSError) as error:
            # TimeoutError is an OSError.
            self._ask_again_at = loop.time() + PAUSE_S
            _UNLIMITED.inc()
            _log.debug("requests pass without a limit", error=str(error))
            return None
        allowed, remaining, retry_ms, reset_ms = (int(number) for number in answer)
        if not allowed:
            _LIMITED.labels(quota.policy).inc()
        return Verdict(quota, bool(allowed), remaining, retry_ms, reset_ms)


def network_of(ip: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 subscriber gets."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
    return str(address)


def _seconds(ms: int) -> int:
    return math.ceil(ms / 1000)
