"""Facts over the bus: media nodes append, control takes them in order and acknowledges.

Invariant: a fact is acknowledged only after it was applied, and after a crash the unacknowledged
ones come again, oldest first, before anything newer. One process reads at a time (a lease), because
the order of facts carries meaning. Upstream: a node's outbox; downstream: `infra.control.facts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from infra.events.bus import MAX_BLOCK_MS, bus_errors, connect
from infra.events.facts import GROUP, STREAM, STREAM_MAXLEN, MediaFact

LEASE = "livepath:facts:reader"
_CONSUMER = "control"
# Takes or renews the lease, unless another reader holds it.
_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class FactWriter:
    """Appends facts to the stream; an async context manager. Raises `BusUnavailable`."""

    def __init__(self, bus_url: str) -> None:
        self._client = connect(bus_url)

    async def send(self, facts: Sequence[MediaFact]) -> None:
        """Append the facts in order. Repeating a batch after an error is harmless."""
        if not facts:
            return
        async with bus_errors(), self._client.pipeline(transaction=True) as pipe:
            for fact in facts:
                body: dict[Any, Any] = {"fact": fact.model_dump_json()}
                pipe.xadd(STREAM, body, maxlen=STREAM_MAXLEN, approximate=True)
            await pipe.execute()

    async def close(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One stream entry on its way to be applied."""

    entry: str
    fact: MediaFact | None
    """None: the entry holds no fact that can be read."""
    raw: str


class FactReader:
    """The consumer-group side; at most one process reads. Raises `BusUnavailable`."""

    def __init__(self, client: Redis, owner: str, *, lease_ms: int = 5_000) -> None:
        self._client = client
        self._owner = owner
        self._lease_ms = lease_ms
        self._pending: str | None = "0"
        """Where to go on among the unacknowledged entries; None when all of them came."""

    async def hold(self) -> bool:
        """Take or renew the right to read; False while another process has it."""
        async with bus_errors():
            held = await self._client.eval(_HOLD, 1, LEASE, self._owner, str(self._lease_ms))
        if not held:
            self.rewind()
        return bool(held)

    async def release(self) -> None:
        """Let another process read at once."""
        async with bus_errors():
            await self._client.eval(_RELEASE, 1, LEASE, self._owner)

    def rewind(self) -> None:
        """Have every unacknowledged entry delivered again, oldest first."""
        self._pending = "0"

    async def read(self, *, limit: int = 100, block_ms: int = 1_000) -> list[Delivery]:
        """The next entries in order; empty when nothing came for `block_ms`."""
        async with bus_errors():
            try:
                if self._pending is not None:
                    entries = await self._read(self._pending, limit, None)
                    if entries:
                        self._pending = entries[-1].entry
                        return entries
                    self._pending = None
                return await self._read(">", limit, min(block_ms, MAX_BLOCK_MS))
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            # A new bus, or one that lost its data. From 0: facts may be waiting already.
            await self._create_group()
            return []

    async def ack(self, entries: Sequence[str]) -> None:
        """Forget entries whose facts are applied."""
        if not entries:
            return
        async with bus_errors():
            await self._client.xack(STREAM, GROUP, *entries)

    async def _read(self, start: str, limit: int, block: int | None) -> list[Delivery]:
        reply: Any = await self._client.xreadgroup(
            GROUP, _CONSUMER, {STREAM: start}, count=limit, block=block
        )
        return [_delivery(entry, values) for entry, values in (reply[0][1] if reply else [])]

    async def _create_group(self) -> None:
        try:
            await self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


def _delivery(entry: str, values: dict[str, str] | None) -> Delivery:
    # An unacknowledged entry that the cap has removed comes back without values.
    raw = (values or {}).get("fact", "")
    try:
        return Delivery(entry, MediaFact.model_validate_json(raw), raw)
    except ValidationError:
        return Delivery(entry, None, raw)
