"""Writing desired state to the bus.

Invariant: a field of the hash never goes back to a lower revision, whoever writes late; only
`replace_all`, on a bus that has lost its epoch, starts afresh. Upstream: `infra.control.publisher`;
downstream: `infra.events.desired_reader` in every media node.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from infra.events.bus import bus_errors
from infra.events.desired import (
    EPOCH,
    HASH,
    LOG,
    LOG_MAXLEN,
    DesiredEvent,
    DesiredProject,
    event_field,
    project_field,
)

# Writes each (field, revision, json) unless the held revision is higher, or nothing would change.
# A held value that cannot be read loses.
_PUT = """
local written = 0
for i = 1, #ARGV, 3 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  local stale = false
  if held then
    local ok, record = pcall(cjson.decode, held)
    if ok and type(record) == 'table' and type(record.revision) == 'number' then
      stale = record.revision > tonumber(ARGV[i + 1])
    end
  end
  if not stale and held ~= ARGV[i + 2] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', LOG_MAXLEN, '*', 'field', ARGV[i])
    written = written + 1
  end
end
return written
""".replace("LOG_MAXLEN", str(LOG_MAXLEN))


@dataclass(frozen=True, slots=True)
class DesiredRecord:
    """One field of the hash, ready to be written."""

    field: str
    revision: int
    json: str

    @classmethod
    def of(cls, desired: DesiredProject | DesiredEvent) -> "DesiredRecord":
        name = project_field if isinstance(desired, DesiredProject) else event_field
        return cls(name(desired.id), desired.revision, desired.model_dump_json())


class DesiredBus:
    """The desired-state keys of one bus. Raises `BusUnavailable`."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def epoch(self) -> str | None:
        """The epoch, or None when this bus was never filled or has lost its data."""
        async with bus_errors():
            return cast("str | None", await self._client.get(EPOCH))

    async def server_run(self) -> str:
        """An id that changes when the server restarts (and may have lost its last second)."""
        async with bus_errors():
            info = await self._client.info("server")
        return str(info["run_id"])

    async def held(self) -> dict[str, str]:
        """Every field as it is on the bus."""
        async with bus_errors():
            return cast("dict[str, str]", await self._client.hgetall(HASH))

    async def put(self, records: Iterable[DesiredRecord]) -> int:
        """Write the records that are not stale; returns how many changed something."""
        arguments: list[str] = []
        for record in records:
            arguments += [record.field, str(record.revision), record.json]
        if not arguments:
            return 0
        async with bus_errors():
            return int(await self._client.eval(_PUT, 2, HASH, LOG, *arguments))

    async def remove(self, fields: Sequence[str]) -> None:
        """Forget fields that no node needs any more."""
        if not fields:
            return
        async with bus_errors(), self._client.pipeline(transaction=True) as pipe:
            pipe.hdel(HASH, *fields)
            for field in fields:
                _log(pipe, field)
            await pipe.execute()

    async def replace_all(self, records: Sequence[DesiredRecord], epoch: str) -> None:
        """Make the hash hold exactly these records, under a new epoch, in one transaction."""
        mapping: dict[Any, Any] = {record.field: record.json for record in records}
        async with bus_errors(), self._client.pipeline(transaction=True) as pipe:
            pipe.delete(HASH)
            if mapping:
                pipe.hset(HASH, mapping=mapping)
            pipe.set(EPOCH, epoch)
            # One entry wakes every reader; the new epoch makes it load everything.
            _log(pipe, "epoch")
            await pipe.execute()


def _log(pipe: Any, field: str) -> None:
    pipe.xadd(LOG, {"field": field}, maxlen=LOG_MAXLEN, approximate=True)
