"""Following desired state from the bus, for media nodes.

Invariant: an outage, an empty bus or an unreadable record never takes anything away; the reader
keeps the last snapshot until a bus that has an epoch says otherwise. A full load comes first, then
the log is followed, and a full load repeats every `resync_s` because the log is capped. Upstream:
`infra.events.desired_bus`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import structlog
from redis.asyncio import Redis

from infra.errors import BusUnavailable
from infra.events.bus import MAX_BLOCK_MS, Backoff, bus_errors, connect
from infra.events.desired import EPOCH, HASH, LOG
from infra.events.desired_state import DesiredSnapshot, parse

_log = structlog.get_logger(__name__)
_BATCH = 500
_UNPUBLISHED_PAUSE_S = 0.2


class DesiredReader:
    """Yields a snapshot after the first full load and after every change.

    `held` is what the node kept on disk; it only decides which revisions are stale.
    """

    def __init__(
        self, bus_url: str, *, held: DesiredSnapshot | None = None, resync_s: float = 30.0
    ) -> None:
        self._url = bus_url
        self._resync_s = resync_s
        self._state = held or DesiredSnapshot()
        self._cursor = "0-0"
        self.problem: str | None = "desired state was not read yet"
        """None while the reader is in step with the bus; a readiness check."""

    async def snapshots(self) -> AsyncIterator[DesiredSnapshot]:
        """Follow the bus until cancelled."""
        client = connect(self._url)
        backoff = Backoff()
        last: DesiredSnapshot | None = None
        try:
            while True:
                try:
                    synced = await self._resync(client)
                    backoff.reset()
                    deadline = asyncio.get_running_loop().time() + self._resync_s
                    while synced:
                        if self._state != last:
                            last = self._state
                            yield last
                        synced = await self._follow(client, deadline)
                except BusUnavailable as error:
                    self._troubled(str(error))
                    await asyncio.sleep(backoff.pause())
        finally:
            await client.aclose()

    async def _resync(self, client: Redis) -> bool:
        """Load everything; False while control has not filled this bus."""
        async with bus_errors(), client.pipeline(transaction=True) as pipe:
            pipe.get(EPOCH)
            pipe.xrevrange(LOG, count=1)
            pipe.hgetall(HASH)
            epoch, newest, fields = await pipe.execute()
        if epoch is None:
            self._troubled("control has not published desired state to this bus")
            await asyncio.sleep(_UNPUBLISHED_PAUSE_S)
            return False
        _report_unreadable(fields)
        self._cursor = newest[0][0] if newest else "0-0"
        self._state = self._state.replaced(epoch, fields)
        if self.problem is not None:
            _log.info("desired state is in step", events=len(self._state.events))
        self.problem = None
        return True

    async def _follow(self, client: Redis, deadline: float) -> bool:
        """Take the next changes; False when a full load is due."""
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        block = max(1, min(MAX_BLOCK_MS, int(left * 1000)))
        async with bus_errors():
            reply: Any = await client.xread({LOG: self._cursor}, count=_BATCH, block=block)
            entries = reply[0][1] if reply else []
            fields = list(dict.fromkeys(str(values.get("field", "")) for _, values in entries))
            async with client.pipeline(transaction=True) as pipe:
                pipe.get(EPOCH)
                if fields:
                    pipe.hmget(HASH, fields)
                epoch, *values = await pipe.execute()
        if epoch != self._state.epoch:
            return False
        if entries:
            changes = dict(zip(fields, cast("list[str | None]", values[0]), strict=True))
            _report_unreadable({f: raw for f, raw in changes.items() if raw is not None})
            self._state = self._state.updated(changes)
            self._cursor = entries[-1][0]
        return True

    def _troubled(self, problem: str) -> None:
        if self.problem is None:
            _log.warning("desired state is not followed; the last one stays", problem=problem)
        self.problem = problem


def _report_unreadable(fields: dict[str, str]) -> None:
    unreadable = sorted(field for field, raw in fields.items() if parse(field, raw) is None)
    if unreadable:
        _log.error("desired state holds unreadable records", fields=unreadable[:20])
