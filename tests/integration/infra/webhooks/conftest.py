"""A database, a receiver, and a dispatcher whose time a test sets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from infra.control.context import Databases
from infra.db.engine import READ_ONLY, async_engine, sync_engine
from infra.db.outbox import OutboxMessage
from infra.db.webhooks import Webhook, WebhookAttempt, WebhookDelivery
from infra.outbox.catalogue import NoticeType
from infra.outbox.recording import Notice, record
from infra.outbox.relay import Relay
from infra.webhooks import signing
from infra.webhooks.deliveries import owe
from infra.webhooks.dispatcher import DispatchLimits, WebhookDispatcher
from infra.webhooks.guard import Allowed, Guard
from infra.webhooks.sending import Sender
from tests.support.plain_http import NO_TLS
from tests.support.processes import until
from tests.support.receiver import Receiver

R = TypeVar("R")
NOW_MS = 1_900_000_000_000
LOOPBACK = Allowed(http=True, private=True)
SECRET = signing.secret_of(b"s" * signing.SECRET_BYTES)


@dataclass
class Outbox:
    """Rows that others would write, and a clock."""

    engine: Engine
    asynchronous: AsyncEngine
    now_ms: int = NOW_MS

    def clock(self) -> int:
        return self.now_ms

    async def hook(self, url: str, *types: str, name: str = "wh_1", **fields: Any) -> str:
        columns = {
            "id": name,
            "project": "acme",
            "url": url,
            "types": list(types or ("*",)),
            "secret": SECRET,
            "created_ms": NOW_MS,
            "updated_ms": NOW_MS,
        }
        await self.write(lambda session: session.add(Webhook(**columns | fields)))
        return name

    async def note(self, *kinds: NoticeType, project: str = "acme") -> None:
        def noted(session: Session) -> None:
            for number, kind in enumerate(kinds):
                record(session, Notice(project, "ev_1", kind, {"n": number}), self.now_ms)

        await self.write(noted)

    async def write(self, work: Callable[[Session], R]) -> R:
        """In a thread: on SQLite a writer waits for a dispatcher's transaction."""

        def transaction() -> R:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                return work(session)

        return await asyncio.to_thread(transaction)

    def rows(self, table: Any) -> list[Any]:
        reading = self.engine.execution_options(**READ_ONLY)
        with Session(reading, expire_on_commit=False) as session:
            return list(session.scalars(select(table)))

    def messages(self) -> list[OutboxMessage]:
        return sorted(self.rows(OutboxMessage), key=lambda row: row.position)

    def deliveries(self) -> list[WebhookDelivery]:
        return sorted(self.rows(WebhookDelivery), key=lambda row: row.message)

    def attempts(self) -> list[WebhookAttempt]:
        return sorted(self.rows(WebhookAttempt), key=lambda row: row.position)

    def webhook(self, name: str = "wh_1") -> Webhook:
        return next(row for row in self.rows(Webhook) if row.id == name)

    @asynccontextmanager
    async def dispatching(
        self,
        guard: Guard | None = None,
        *,
        timeout_s: float = 30.0,
        trusted: SSLContext | None = None,
        **limits: Any,
    ) -> AsyncIterator[WebhookDispatcher]:
        """A dispatcher that runs."""
        databases = Databases.of(self.asynchronous)
        guard = guard or Guard(LOOPBACK)
        relay = Relay(databases.writing, databases.reading, owe, lambda: None, self.clock)
        quick = DispatchLimits(**{"interval_s": 0.02, **limits})
        sender = Sender(guard, timeout_s=timeout_s, trusted=trusted or NO_TLS)
        dispatcher = WebhookDispatcher(
            relay, databases.writing, databases.reading, sender, self.clock, limits=quick
        )
        task = asyncio.create_task(dispatcher.run())
        try:
            yield dispatcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await sender.close()
            guard.close()

    async def settled(self, *states: str) -> None:
        """Wait until deliveries are in these states, and those that wait were tried and failed."""

        def reached() -> bool:
            rows, tried = self.deliveries(), {(a.delivery, a.number) for a in self.attempts()}
            return [row.state for row in rows] == list(states) and all(
                (row.id, row.attempt_count) in tried and (row.next_attempt_ms or 0) > self.now_ms
                for row in rows
                if row.state == "pending"
            )

        await until(f"deliveries are {states}", reached)


@pytest.fixture
async def outbox(migrated_url: str) -> AsyncIterator[Outbox]:
    engine, asynchronous = sync_engine(migrated_url), async_engine(migrated_url)
    yield Outbox(engine, asynchronous)
    await asynchronous.dispose()
    engine.dispose()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made
