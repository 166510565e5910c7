"""Sends what is owed to webhooks: one task of each control process, any number of which may run.

Invariant: every message is delivered at least once to every enabled endpoint that asked for it, or
tried for 24 hours. What a process holds when it is killed comes back when its lease ends. Attempts
side by side are bounded, for an endpoint and in all, in each process; an endpoint that hangs holds
up only itself. This task is the only writer: outcomes are stored together, and wait for a database
that is away. The order is that of the messages as long as nothing fails; it is not promised.

Upstream: `infra.outbox.relay`. Downstream: `infra.webhooks.sending`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import prometheus_client as prometheus
import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.events.bus import Backoff
from infra.outbox.relay import FORGOTTEN, Relay
from infra.telemetry import tracing
from infra.telemetry.traceparent import HEADER
from infra.telemetry.tracing import Span
from infra.webhooks import deliveries, signing
from infra.webhooks.deliveries import Claim, Outcome
from infra.webhooks.sending import Answer, Sender

_log = structlog.get_logger(__name__)
_ATTEMPTS = prometheus.Counter(
    "livepath_webhook_attempts_total", "Attempts to deliver to webhooks.", ["outcome"]
)
_SECONDS = prometheus.Histogram(
    "livepath_webhook_attempt_seconds",
    "Time until an endpoint answered, or did not.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
_OLDEST = prometheus.Gauge(
    "livepath_webhook_oldest_undelivered_seconds",
    "Age of the oldest message that is still owed to an enabled endpoint.",
)
_MEASURE_S = 10.0
_TIDY_S = 3_600.0
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class DispatchLimits:
    """Of one process."""

    lease_ms: int = deliveries.LEASE_MS
    attempts: int = 64
    """Side by side, in all."""
    per_endpoint: int = 4
    interval_s: float = 1.0
    """Between two looks at the table, when nobody rings."""
    keep_days: int = 14


@dataclass(frozen=True, slots=True)
class Answered:
    """An attempt whose outcome is still to be stored."""

    claim: Claim
    answer: Answer
    at_ms: int


class WebhookDispatcher:
    """One `run()` for the life of the process; `ring()` from the same event loop."""

    def __init__(
        self,
        relay: Relay,
        writing: async_sessionmaker[AsyncSession],
        reading: async_sessionmaker[AsyncSession],
        sender: Sender,
        now_ms: Callable[[], int],
        *,
        limits: DispatchLimits,
    ) -> None:
        self._relay = relay
        self._writing = writing
        self._reading = reading
        self._sender = sender
        self._now_ms = now_ms
        self._limits = limits
        self._bell = asyncio.Event()
        self._in_flight: Counter[str] = Counter()
        """Attempts by webhook, until their outcome is stored."""
        self._answered: list[Answered] = []
        self._measured_at = self._tidied_at = float("-inf")
        self._is_troubled = False

    def ring(self) -> None:
        """Something was recorded, or is due: look now."""
        self._bell.set()

    async def run(self) -> None:
        """Number and send until cancelled, through outages of the database."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._go_on(group)
        finally:
            await self._let_go()

    async def _go_on(self, group: asyncio.TaskGroup) -> None:
        backoff = Backoff()
        while True:
            self._bell.clear()
            try:
                moved = await self._step(group)
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    raise
                self._troubled()
                await asyncio.sleep(backoff.pause())
                continue
            self._is_troubled = False
            backoff.reset()
            if not moved:
                await self._rest()

    async def _let_go(self) -> None:
        """Note what was answered; other outcomes are found out by repeating."""
        try:
            async with asyncio.timeout(1):
                await self._settle()
        except DATABASE_ERRORS:
            _log.info("answered deliveries will be repeated", deliveries=len(self._answered))

    async def _step(self, group: asyncio.TaskGroup) -> int:
        moved = await self._settle()
        moved += await self._relay.step()
        for claim in await self._claims():
            self._in_flight[claim.webhook] += 1
            group.create_task(self._attempt(claim), name=f"webhook {claim.delivery}")
            moved += 1
        await self._keep_house()
        return moved

    async def _claims(self) -> list[Claim]:
        """What there is room for."""
        room = self._limits.attempts - self._in_flight.total()
        if room <= 0:
            return []
        most = self._limits.per_endpoint
        busy = [webhook for webhook, held in self._in_flight.items() if held >= most]
        async with self._reading() as session:
            due = await session.run_sync(deliveries.due, self._now_ms(), room, busy)
        if not due:
            return []
        return await self._written(lambda session: self._claim(session, due, room))

    def _claim(self, session: Session, due: Sequence[str], room: int) -> list[Claim]:
        now, limits = self._now_ms(), self._limits
        claims: list[Claim] = []
        for webhook in due:
            free = min(limits.per_endpoint - self._in_flight[webhook], room - len(claims))
            if free <= 0:
                break
            claims += deliveries.claim(session, webhook, now, free, limits.lease_ms)
        return claims

    async def _attempt(self, claim: Claim) -> None:
        headers = signing.headers(claim.secrets, claim.message, self._now_ms() // 1000, claim.body)
        with tracing.span("webhook attempt", kind="client", parent=claim.traceparent) as span:
            told = {} if span.traceparent is None else {HEADER: span.traceparent}
            answer = await self._sender.post(claim.url, {**headers, **told}, claim.body)
            _describe(span, claim, answer)
        _SECONDS.observe(answer.duration_ms / 1000)
        self._answered.append(Answered(claim, answer, self._now_ms()))
        self._bell.set()

    async def _settle(self) -> int:
        """Write down what came of attempts; while the database is away they wait."""
        # In one order in all processes, so that they do not wait for each other in a circle.
        batch = sorted(self._answered, key=lambda one: (one.claim.webhook, one.claim.delivery))
        if not batch:
            return 0
        try:
            await self._finish(batch)
        except DATABASE_ERRORS as error:
            if is_outage(error):
                raise
            await self._finish_each(batch)
        del self._answered[: len(batch)]
        for one in batch:
            self._in_flight[one.claim.webhook] -= 1
            if not self._in_flight[one.claim.webhook]:
                del self._in_flight[one.claim.webhook]
        return len(batch)

    async def _finish(self, batch: Sequence[Answered]) -> None:
        def finish(session: Session) -> list[Outcome]:
            chance = random.random  # it spreads load, and guards nothing
            return [
                deliveries.finish(session, one.claim, one.answer, one.at_ms, chance())
                for one in batch
            ]

        for outcome in await self._written(finish):
            _ATTEMPTS.labels(outcome.value).inc()

    async def _finish_each(self, batch: Sequence[Answered]) -> None:
        """One of them cannot be stored: not for the others to suffer. It is tried again."""
        for one in batch:
            try:
                await self._finish([one])
            except DATABASE_ERRORS as error:
                if is_outage(error):
                    raise
                _log.exception("an outcome cannot be stored", delivery=one.claim.delivery)

    async def _written(self, work: Callable[[Session], R]) -> R:
        async with self._writing() as session, session.begin():
            return await session.run_sync(work)

    async def _keep_house(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._measured_at >= _MEASURE_S:
            self._measured_at = now
            async with self._reading() as session:
                oldest = await session.run_sync(deliveries.oldest_owed_ms)
            _OLDEST.set(0 if oldest is None else max(0, self._now_ms() - oldest) / 1000)
        if now - self._tidied_at >= _TIDY_S:
            while await self._relay.forget(self._limits.keep_days) == FORGOTTEN:
                pass
            self._tidied_at = now

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._limits.interval_s):
                await self._bell.wait()
        except TimeoutError:
            pass

    def _troubled(self) -> None:
        if not self._is_troubled:
            _log.warning("webhooks wait for the database")
        self._is_troubled = True


def _describe(span: Span, claim: Claim, answer: Answer) -> None:
    span.note(
        {
            "http.request.method": "POST",
            "http.response.status_code": answer.status,
            "livepath.webhook": claim.webhook,
            "livepath.message": claim.message,
            "livepath.attempt": claim.attempt,
        }
    )
    if not answer.good:
        span.failed("no answer" if answer.status is None else str(answer.status))
