"""When keys were used last, written beside the requests and never in their way.

Invariant: a key's time is written at most once a minute by each process, and never goes back.
Upstream: `infra.control.dependencies`. Downstream: `api_keys.last_used_ms`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

import structlog
from sqlalchemy import or_, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from infra.db.control import ApiKey
from infra.db.outage import DATABASE_ERRORS, is_outage

_log = structlog.get_logger(__name__)

EVERY_MS = 60_000
REMEMBERED = 10_000
"""Keys; whoever has more in a minute writes more often."""
GATHER_S = 1.0


class KeyUses:
    """Uses on their way into the database; `run` belongs to the process's task group."""

    def __init__(self) -> None:
        self._noted: OrderedDict[str, int] = OrderedDict()
        self._owed: dict[str, int] = {}
        self._bell = asyncio.Event()

    def note(self, key: str, now_ms: int) -> None:
        """The key opened something now."""
        noted = self._noted.get(key)
        if noted is not None and now_ms - noted < EVERY_MS:
            return
        self._noted[key] = now_ms
        self._noted.move_to_end(key)
        if len(self._noted) > REMEMBERED:
            self._owed.pop(self._noted.popitem(last=False)[0], None)
        self._owed[key] = now_ms
        self._bell.set()

    async def run(self, writing: async_sessionmaker[AsyncSession]) -> None:
        """Write uses until cancelled."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            await self.flush(writing)
            # What comes together is written together.
            await asyncio.sleep(GATHER_S)

    async def flush(self, writing: async_sessionmaker[AsyncSession]) -> None:
        """Write what is owed. An outage costs these uses: the next ones are told again."""
        owed, self._owed = self._owed, {}
        if not owed:
            return
        try:
            await _write(writing, owed)
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            for key in owed:
                self._noted.pop(key, None)
            _log.debug("uses of keys are not written", error=str(error))


async def _write(writing: async_sessionmaker[AsyncSession], uses: Mapping[str, int]) -> None:
    async with writing() as session, session.begin():
        for key, moment in sorted(uses.items()):
            await session.execute(
                update(ApiKey)
                .where(ApiKey.id == key)
                .where(or_(ApiKey.last_used_ms.is_(None), ApiKey.last_used_ms < moment))
                .values(last_used_ms=moment)
            )
