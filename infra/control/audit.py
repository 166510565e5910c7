"""The audit log: who changed what, and who was refused.

Invariant: an entry of a change is committed with the change or not at all. Refusals have changed
nothing, so their entries wait in a bounded queue and never delay an answer; what does not fit, or
meets an outage of the database, is dropped and counted. An entry holds ids, never a body, a key or
a token.
Upstream: `infra.control.requests` (refusals), `infra.control.dependencies` (changes).
Downstream: the table `audit`, read by `GET /v1/audit`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from infra.auth.apikeys import PREFIX
from infra.control.ids import new_id
from infra.db.audit import AuditEntry
from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.keys import is_name

_log = structlog.get_logger(__name__)

WAITING = 2_000
BATCH = 200
NOBODYS_A_MINUTE = 100
"""Refusals of callers whom nobody knows: who guesses keys must not fill the database."""
SWEEP_S = 3600.0
_DELETED_AT_ONCE = 5_000
_DAY_MS = 24 * 3600 * 1000
Writing = async_sessionmaker[AsyncSession]
_DROPPED = Counter(
    "livepath_control_audit_dropped", "Refusals that did not come into the audit log."
)


@dataclass(frozen=True, slots=True)
class Deed:
    """What a request did or wanted to do."""

    request: str
    ip: str
    key: str | None
    project: str | None
    operation: str
    objects: Mapping[str, str]
    """Ids by name, as the client wrote them."""
    status: int


def entry_of(deed: Deed, now_ms: int) -> AuditEntry:
    """The row of a deed. What is no id stays out: it may be anything."""
    objects = {name: value for name, value in deed.objects.items() if _is_id(value)}
    return AuditEntry(
        id=new_id("au_"),
        project=deed.project,
        key=deed.key,
        ip=deed.ip[:64],
        operation=deed.operation[:200],
        event=objects.get("event"),
        objects=objects,
        outcome="done" if deed.status < 400 else "refused",
        status=deed.status,
        request=deed.request,
        created_ms=now_ms,
    )


def _is_id(value: str) -> bool:
    # Somebody may write a key where an id belongs.
    return is_name(value) and not value.startswith(PREFIX)


class AuditTrail:
    """Refusals on their way into the database; `run` belongs to the process's task group."""

    def __init__(self, waiting: int = WAITING) -> None:
        self._queue: asyncio.Queue[AuditEntry] = asyncio.Queue(waiting)
        self._minute = 0
        self._nobodys = 0

    def refused(self, entry: AuditEntry) -> None:
        """Have the entry written soon, if there is room for it."""
        if self._queue.full() or self._is_noise(entry):
            _DROPPED.inc()
        else:
            self._queue.put_nowait(entry)

    def _is_noise(self, entry: AuditEntry) -> bool:
        if entry.project is not None:
            return False
        minute = entry.created_ms // 60_000
        self._nobodys = self._nobodys + 1 if minute == self._minute else 1
        self._minute = minute
        return self._nobodys > NOBODYS_A_MINUTE

    async def run(self, writing: Writing, now_ms: Callable[[], int], days: int) -> None:
        """Write refusals, and forget what is older than `days` (0: nothing), until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_all(writing), name="audit")
            if days:
                group.create_task(_forget(writing, now_ms, days), name="audit retention")

    async def flush(self, writing: Writing) -> None:
        """Write what waits now."""
        while batch := self._next():
            await self._write(writing, batch)

    async def _write_all(self, writing: Writing) -> None:
        while True:
            first = await self._queue.get()
            await self._write(writing, [first, *self._next(BATCH - 1)])

    def _next(self, most: int = BATCH) -> list[AuditEntry]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    async def _write(self, writing: Writing, batch: Sequence[AuditEntry]) -> None:
        try:
            async with writing() as session, session.begin():
                session.add_all(batch)
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            _DROPPED.inc(len(batch))
            _log.warning("refusals are not in the audit log", dropped=len(batch), error=str(error))


async def _forget(writing: Writing, now_ms: Callable[[], int], days: int) -> None:
    while True:
        try:
            while await forget_before(writing, now_ms() - days * _DAY_MS):
                pass
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            _log.warning("the audit log keeps old entries for now", error=str(error))
        await asyncio.sleep(SWEEP_S)


async def forget_before(writing: Writing, moment_ms: int) -> bool:
    """Delete some entries that are older; False when there was none left."""
    old = select(AuditEntry.id).where(AuditEntry.created_ms < moment_ms).limit(_DELETED_AT_ONCE)
    async with writing() as session, session.begin():
        ids = (await session.scalars(old)).all()
        if ids:
            await session.execute(delete(AuditEntry).where(AuditEntry.id.in_(ids)))
    return bool(ids)
