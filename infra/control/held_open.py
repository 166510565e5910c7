"""Streams that are open, and whether the keys that opened them open anything still.

Invariant: a stream whose key was revoked, has expired, or has been replaced by another secret gets
nothing more once the database has said so, at most `EVERY_S` later. One query asks for all streams
of a process, whatever their number; while the database is away nobody is let go.

Upstream: `routes.stream`, `routes.overview`. What a key may do otherwise is decided once, when its
request comes (`infra.control.callers`).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog
from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from infra.control.callers import Caller
from infra.db.control import ApiKey
from infra.db.outage import DATABASE_ERRORS, is_outage

_log = structlog.get_logger(__name__)
EVERY_S = 3.0
_REFUSED = Counter(
    "livepath_stream_keys_refused", "Streams that ended because their key opens nothing any more."
)


class Refusable(Protocol):
    """A listener."""

    def refuse(self) -> None:
        """Give it nothing more."""


class HeldOpen:
    """The listeners of a process by the secret that opened them; one `run()`."""

    def __init__(self) -> None:
        self._callers: dict[Refusable, Caller] = {}

    def add(self, caller: Caller, listener: Refusable) -> None:
        """Who bounds the number of listeners bounds what is kept here."""
        self._callers[listener] = caller

    def discard(self, listener: Refusable) -> None:
        self._callers.pop(listener, None)

    async def run(
        self,
        reading: async_sessionmaker[AsyncSession],
        now_ms: Callable[[], int],
        *,
        interval_s: float = EVERY_S,
    ) -> None:
        """Look until cancelled, through outages of the database."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.look(reading, now_ms())
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    raise
                _log.debug("open streams are not looked at", error=str(error))

    async def look(self, reading: async_sessionmaker[AsyncSession], now_ms: int) -> None:
        """Let go whose key opens nothing any more."""
        asked = dict(self._callers)
        if not asked:
            return
        async with reading() as session:
            keys = {caller.key for caller in asked.values()}
            rows = await session.scalars(select(ApiKey).where(ApiKey.id.in_(keys)))
            found = {key.id: key for key in rows}
        for listener, caller in asked.items():
            key = found.get(caller.key)
            if key is None or not opens(key, caller.digest, now_ms):
                self.discard(listener)
                listener.refuse()
                _REFUSED.inc()
                _log.info("a stream ends with its key", key=caller.key, project=caller.project)


def opens(key: ApiKey, digest: str, now_ms: int) -> bool:
    """Whether the secret with this digest opens what the key does."""
    if key.revoked_ms is not None or (key.expires_ms is not None and now_ms >= key.expires_ms):
        return False
    if key.hash == digest:
        return True
    return key.previous_hash == digest and now_ms < (key.previous_until_ms or 0)
