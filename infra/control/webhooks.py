"""What the API does with webhooks. Every query is scoped to a project; nothing here commits.

Whether an address may be used at all is checked by the route, before the transaction begins: a name
server that is slow must not hold one open.
"""

import secrets
from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.context import ControlContext
from infra.control.ids import new_id
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict, NotFound
from infra.control.schemas import to_ms
from infra.control.webhook_schemas import TimeRange, WebhookCreate, WebhookPatch
from infra.db.outbox import OutboxMessage
from infra.db.webhooks import Webhook, WebhookAttempt, WebhookDelivery
from infra.keys import is_name
from infra.outbox.catalogue import NoticeType, chosen
from infra.outbox.recording import Notice, record
from infra.webhooks import deliveries, signing
from infra.webhooks.deliveries import HELD, DeliveryState, RowLock

MOST = 20
"""Webhooks of a project."""
REPLAYED = 1_000
"""Deliveries that one request sends once more."""
EMPTIED = 1_000
"""Deliveries that are deleted in one transaction, with their attempts."""
CHANGED: RowLock = {}
"""How a webhook is locked that is changed or deleted."""
Told = tuple[WebhookDelivery, OutboxMessage, Sequence[WebhookAttempt]]


class WebhookService:
    """Webhooks of one project, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._now_ms = context.now_ms()
        self._project = project

    async def create(self, wanted: WebhookCreate) -> Webhook:
        mine = select(func.count()).select_from(Webhook).where(Webhook.project == self._project)
        if (await self._session.scalar(mine) or 0) >= MOST:
            raise Conflict(
                f"the project has {MOST} webhooks already",
                "Delete one, or let one endpoint take more types.",
            )
        hook = Webhook(
            id=new_id("wh_"),
            project=self._project,
            url=wanted.url,
            types=list(wanted.types),
            description=wanted.description,
            enabled=wanted.enabled,
            secret=_new_secret(),
            created_ms=self._now_ms,
            updated_ms=self._now_ms,
        )
        self._session.add(hook)
        await self._session.flush()
        return hook

    async def page(self, page: PageRequest) -> tuple[Sequence[Webhook], str | None]:
        query = select(Webhook).where(Webhook.project == self._project)
        return await page_of(self._session, query, Webhook, page)

    async def get(self, webhook: str, lock: RowLock | None = None) -> Webhook:
        """`lock`: `CHANGED` or `deliveries.HELD`, until the end of the transaction."""
        hook = None
        if is_name(webhook):
            query = select(Webhook).where(Webhook.id == webhook, Webhook.project == self._project)
            if lock is not None:
                query = query.with_for_update(**lock)
            hook = await self._session.scalar(query)
        if hook is None:
            raise NotFound(
                f"there is no webhook {webhook[:80]!r} in this project",
                "List the project's webhooks with GET /v1/webhooks.",
            )
        return hook

    async def patch(self, webhook: str, changes: WebhookPatch) -> Webhook:
        hook = await self.get(webhook, CHANGED)
        if changes.url is not None and changes.url != hook.url:
            hook.url = changes.url
            # What the address before did is no fault of this one.
            hook.failing_since_ms = None
        if changes.types is not None:
            hook.types = list(changes.types)
        if changes.description is not None:
            hook.description = changes.description
        if changes.enabled is not None:
            hook.enabled = changes.enabled
            hook.disabled_reason = None
            hook.failing_since_ms = None
        hook.updated_ms = self._now_ms
        return hook

    async def empty(self, webhook: str) -> bool:
        """Stop deliveries and take some of the log, in a transaction of its own; whether that was
        all. Two weeks of it are more than one statement may take."""
        hook = await self.get(webhook, CHANGED)
        hook.enabled, hook.disabled_reason = False, "it is being deleted"
        some = (
            select(WebhookDelivery.id)
            .where(WebhookDelivery.webhook == hook.id)
            .order_by(WebhookDelivery.created_ms, WebhookDelivery.id)
            .limit(EMPTIED)
        )
        ids = (await self._session.scalars(some)).all()
        await self._session.execute(delete(WebhookDelivery).where(WebhookDelivery.id.in_(ids)))
        return len(ids) < EMPTIED

    async def delete(self, webhook: str) -> None:
        """With what is left of its log."""
        await self._session.delete(await self.get(webhook, CHANGED))

    async def rotate_secret(self, webhook: str, grace_s: int) -> Webhook:
        hook = await self.get(webhook, CHANGED)
        hook.old_secret = hook.secret if grace_s else None
        hook.old_until_ms = self._now_ms + grace_s * 1000 if grace_s else None
        hook.secret = _new_secret()
        hook.updated_ms = self._now_ms
        return hook

    async def test(self, webhook: str) -> Told:
        """A message for this endpoint alone, whatever types it asked for."""
        hook = await self.get(webhook, HELD)
        _must_be_enabled(hook)
        data = {"webhook": hook.id}
        notice = Notice(self._project, None, NoticeType.WEBHOOK_TEST, data)
        position = await self._session.run_sync(record, notice, self._now_ms, target=hook.id)
        message = await self._session.get_one(OutboxMessage, position)
        await self._session.run_sync(deliveries.again, [(hook, message)], self._now_ms)
        return await self._told_of(hook, message)

    async def deliveries(
        self, webhook: str, state: DeliveryState | None, page: PageRequest
    ) -> tuple[Sequence[Told], str | None]:
        """Newest first, each with its attempts."""
        hook = await self.get(webhook)
        query = select(WebhookDelivery).where(WebhookDelivery.webhook == hook.id)
        if state is not None:
            query = query.where(WebhookDelivery.state == state.value)
        rows, following = await page_of(self._session, query, WebhookDelivery, page)
        return await self._with_attempts(rows), following

    async def delivery(self, webhook: str, delivery: str) -> Told:
        return (await self._with_attempts([await self._one(webhook, delivery)]))[0]

    async def replay(self, webhook: str, delivery: str) -> Told:
        """Another round of attempts for one delivery."""
        hook = await self.get(webhook, HELD)
        _must_be_enabled(hook)
        row = await self._one(webhook, delivery)
        if row.state == DeliveryState.PENDING:
            raise Conflict(
                f"delivery {row.id} is on its way", "Wait until it is delivered or has failed."
            )
        message = await self._session.get_one(
            OutboxMessage, row.message, with_for_update=dict(HELD)
        )
        await self._session.run_sync(deliveries.again, [(hook, message)], self._now_ms)
        return await self._told_of(hook, message)

    async def replay_range(self, webhook: str, wanted: TimeRange) -> tuple[int, int | None]:
        """How many deliveries begin anew, and the time from which on there are more. Messages that
        the endpoint never got, because it was not there or disabled, are among them."""
        hook = await self.get(webhook, HELD)
        _must_be_enabled(hook)
        held = (WebhookDelivery.message == OutboxMessage.position) & (
            WebhookDelivery.webhook == hook.id
        )
        settled = WebhookDelivery.state == DeliveryState.FAILED.value
        if not wanted.failed_only:
            settled = WebhookDelivery.state != DeliveryState.PENDING.value
        query = (
            select(OutboxMessage)
            .outerjoin(WebhookDelivery, held)
            .where(
                OutboxMessage.project == self._project,
                OutboxMessage.sequence.is_not(None),
                OutboxMessage.type.in_([kind.value for kind in chosen(hook.types)]),
                OutboxMessage.at_ms >= to_ms(wanted.since),
                OutboxMessage.at_ms < to_ms(wanted.until),
                WebhookDelivery.id.is_(None) | settled,
            )
            .order_by(OutboxMessage.at_ms, OutboxMessage.sequence)
            .limit(REPLAYED + 1)
            .with_for_update(of=OutboxMessage, **HELD)
        )
        rows = (await self._session.scalars(query)).all()
        again = [(hook, row) for row in rows[:REPLAYED]]
        await self._session.run_sync(deliveries.again, again, self._now_ms)
        return len(again), rows[REPLAYED].at_ms if len(rows) > REPLAYED else None

    async def _one(self, webhook: str, delivery: str) -> WebhookDelivery:
        hook = await self.get(webhook)
        row = None
        if is_name(delivery):
            query = select(WebhookDelivery).where(
                WebhookDelivery.id == delivery, WebhookDelivery.webhook == hook.id
            )
            row = await self._session.scalar(query)
        if row is None:
            raise NotFound(
                f"webhook {hook.id} has no delivery {delivery[:80]!r}",
                f"List its deliveries with GET /v1/webhooks/{hook.id}/deliveries.",
            )
        return row

    async def _told_of(self, hook: Webhook, message: OutboxMessage) -> Told:
        query = (
            select(WebhookDelivery)
            .where(WebhookDelivery.webhook == hook.id, WebhookDelivery.message == message.position)
            .execution_options(populate_existing=True)
        )
        row = (await self._session.scalars(query)).one()
        return (await self._with_attempts([row]))[0]

    async def _with_attempts(self, rows: Sequence[WebhookDelivery]) -> list[Told]:
        messages = await self._session.scalars(
            select(OutboxMessage).where(OutboxMessage.position.in_([row.message for row in rows]))
        )
        by_position = {message.position: message for message in messages}
        attempts: dict[str, list[WebhookAttempt]] = {row.id: [] for row in rows}
        made = select(WebhookAttempt).where(WebhookAttempt.delivery.in_(attempts))
        for one in await self._session.scalars(made.order_by(WebhookAttempt.number)):
            attempts[one.delivery].append(one)
        return [(row, by_position[row.message], attempts[row.id]) for row in rows]


def _new_secret() -> str:
    return signing.secret_of(secrets.token_bytes(signing.SECRET_BYTES))


def _must_be_enabled(hook: Webhook) -> None:
    if not hook.enabled:
        raise Conflict(
            f"webhook {hook.id} is disabled",
            f"Enable it first: PATCH /v1/webhooks/{hook.id} with enabled: true.",
        )
