"""The table of deliveries: what is owed to whom, who works on it, and what came of it.

Invariants: a message is owed to an endpoint at most once, from the transaction that numbers the
message. A claim is a lease: `next_attempt_ms` moves to its end, so what a killed process held is
due again by itself, with the same `webhook-id`. The number of the attempt is the fence: an outcome
that comes after its lease was taken over changes nothing.

Rows are locked in the order webhook, message, delivery; webhooks by their ids. What is owed to a
webhook is written while it is held (`HELD`): one that is deleted meanwhile would have no row for
the delivery to refer to. The caller owns the transaction.

Upstream: the relay (`owe`), the dispatcher (`claim`, `finish`), the control API (`again`).
"""

import secrets as randomness
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from infra.db.outbox import OutboxMessage
from infra.db.webhooks import Webhook, WebhookAttempt, WebhookDelivery
from infra.outbox.catalogue import NoticeType, chosen
from infra.outbox.reading import message_of
from infra.outbox.recording import Notice, record
from infra.webhooks.schedule import is_sustained, next_attempt_ms, retry_after_ms
from infra.webhooks.sending import Answer

LEASE_MS = 30_000
"""Twice what an attempt may take."""
MOST_ATTEMPTS = 50
"""Of a round. The schedule has eight; a delivery that has more lost its leases, and perhaps killed
who held them."""
GONE = 410


class RowLock(TypedDict, total=False):
    """How rows are locked, as `with_for_update` is told. SQLite has one writer at a time, and needs
    no such lock."""

    read: bool
    key_share: bool


HELD: RowLock = {"read": True, "key_share": True}
"""For rows that must not be deleted before the end of the transaction; they may change."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up; a replay begins another round."""


class Outcome(StrEnum):
    """Of an attempt, for metrics."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GIVEN_UP = "given-up"
    DISABLED = "disabled"
    """Given up, and with it the endpoint."""
    LATE = "late"
    """The lease had run out, or the endpoint was removed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make one attempt."""

    delivery: str
    webhook: str
    attempt: int
    url: str
    secrets: Sequence[str]
    message: str
    body: bytes
    traceparent: str | None = None
    """Of what the message tells of."""


def new_delivery_id() -> str:
    return f"dl_{randomness.token_hex(10)}"


def owe(session: Session, messages: Iterable[OutboxMessage], now_ms: int) -> None:
    """Deliver these new messages of one project to every endpoint that asked for them."""
    rows = list(messages)
    if not rows:
        return
    query = (
        select(Webhook)
        .where(Webhook.project == rows[0].project, Webhook.enabled)
        .order_by(Webhook.id)
        .with_for_update(**HELD)
    )
    hooks = [(hook, chosen(hook.types)) for hook in session.scalars(query)]
    wanted = [(hook, row) for row in rows for hook, kinds in hooks if row.type in kinds]
    again(session, wanted, now_ms)


def again(session: Session, wanted: Sequence[tuple[Webhook, OutboxMessage]], now_ms: int) -> None:
    """Begin a round for each; one that is on its way stays as it is. The webhooks are `HELD`."""
    if not wanted:
        return
    values = [
        {
            "id": new_delivery_id(),
            "project": hook.project,
            "webhook": hook.id,
            "message": row.position,
            "state": DeliveryState.PENDING.value,
            "attempt_count": 0,
            "round_from": 0,
            "round_ms": now_ms,
            "next_attempt_ms": now_ms,
            "created_ms": now_ms,
            "updated_ms": now_ms,
        }
        for hook, row in wanted
    ]
    fresh = dict.fromkeys(("round_ms", "next_attempt_ms", "updated_ms"), now_ms)
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(WebhookDelivery).on_conflict_do_update(
        index_elements=["webhook", "message"],
        set_={
            **fresh,
            "state": DeliveryState.PENDING.value,
            "round_from": WebhookDelivery.attempt_count,
            "delivered_ms": None,
        },
        where=WebhookDelivery.state != DeliveryState.PENDING.value,
    )
    session.execute(statement, values)


def due(session: Session, now_ms: int, limit: int, busy: Iterable[str]) -> Sequence[str]:
    """Enabled endpoints with something to send, the one that waits longest first."""
    oldest = (
        select(func.min(WebhookDelivery.next_attempt_ms))
        .where(
            WebhookDelivery.webhook == Webhook.id,
            WebhookDelivery.state == DeliveryState.PENDING.value,
        )
        .scalar_subquery()
    )
    query = (
        select(Webhook.id)
        .where(Webhook.enabled, Webhook.id.not_in(list(busy)), oldest <= now_ms)
        .order_by(oldest)
        .limit(limit)
    )
    return session.scalars(query).all()


def claim(
    session: Session, webhook: str, now_ms: int, limit: int, lease_ms: int = LEASE_MS
) -> list[Claim]:
    """Take up to `limit` due deliveries of the endpoint; those that others look at are left."""
    rows = session.execute(
        select(WebhookDelivery, OutboxMessage, Webhook)
        .join(OutboxMessage, OutboxMessage.position == WebhookDelivery.message)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook)
        .where(
            WebhookDelivery.webhook == webhook,
            WebhookDelivery.state == DeliveryState.PENDING.value,
            WebhookDelivery.next_attempt_ms <= now_ms,
        )
        .order_by(WebhookDelivery.next_attempt_ms, WebhookDelivery.message)
        .limit(limit)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    ).all()
    claims = []
    for delivery, message, hook in rows:
        if delivery.attempt_count - delivery.round_from >= MOST_ATTEMPTS:
            delivery.state = DeliveryState.FAILED.value
            delivery.next_attempt_ms = None
            continue
        delivery.attempt_count += 1
        delivery.next_attempt_ms = now_ms + lease_ms
        claims.append(
            Claim(
                delivery=delivery.id,
                webhook=hook.id,
                attempt=delivery.attempt_count,
                url=hook.url,
                secrets=signing_secrets(hook, now_ms),
                message=message.id,
                body=message_of(message).json().encode(),
                traceparent=message.traceparent,
            )
        )
    session.flush()
    return claims


def signing_secrets(hook: Webhook, now_ms: int) -> Sequence[str]:
    """The newest first."""
    if hook.old_secret is None or now_ms >= (hook.old_until_ms or 0):
        return (hook.secret,)
    return (hook.secret, hook.old_secret)


def finish(session: Session, held: Claim, answer: Answer, now_ms: int, chance: float) -> Outcome:
    """Write down what came of the attempt, and what follows."""
    hook = session.scalars(
        select(Webhook).where(Webhook.id == held.webhook).with_for_update(key_share=True)
    ).one_or_none()
    delivery = session.scalars(
        select(WebhookDelivery)
        .where(
            WebhookDelivery.id == held.delivery,
            WebhookDelivery.attempt_count == held.attempt,
            WebhookDelivery.state == DeliveryState.PENDING.value,
        )
        .with_for_update()
    ).one_or_none()
    if hook is None or delivery is None:
        return Outcome.LATE
    session.add(_attempt(delivery, answer, now_ms))
    delivery.updated_ms = now_ms
    if answer.good:
        delivery.state = DeliveryState.DELIVERED.value
        delivery.delivered_ms = now_ms
        delivery.next_attempt_ms = None
        hook.failing_since_ms = None
        return Outcome.DELIVERED
    if hook.failing_since_ms is None:
        hook.failing_since_ms = now_ms
    made = delivery.attempt_count - delivery.round_from
    asked = retry_after_ms(answer.retry_after, now_ms)
    following = next_attempt_ms(made, delivery.round_ms, now_ms, chance, asked)
    if answer.status != GONE and following is not None:
        delivery.next_attempt_ms = following
        return Outcome.RETRY
    delivery.state = DeliveryState.FAILED.value
    delivery.next_attempt_ms = None
    return _given_up(session, hook, answer, now_ms)


def _given_up(session: Session, hook: Webhook, answer: Answer, now_ms: int) -> Outcome:
    reason = None
    if answer.status == GONE:
        reason = "the endpoint answered 410: it is gone"
    elif is_sustained(hook.failing_since_ms, now_ms):
        reason = f"nothing could be delivered for a day; the last attempt: {answer.error}"[:300]
    if reason is None or not hook.enabled:
        return Outcome.GIVEN_UP
    hook.enabled = False
    hook.disabled_reason = reason
    hook.updated_ms = now_ms
    data = {"webhook": hook.id, "description": hook.description, "reason": reason}
    record(session, Notice(hook.project, None, NoticeType.WEBHOOK_DISABLED, data), now_ms)
    return Outcome.DISABLED


def _attempt(delivery: WebhookDelivery, answer: Answer, now_ms: int) -> WebhookAttempt:
    return WebhookAttempt(
        project=delivery.project,
        delivery=delivery.id,
        number=delivery.attempt_count,
        at_ms=now_ms - answer.duration_ms,
        duration_ms=answer.duration_ms,
        status=answer.status,
        error=answer.error,
        excerpt=answer.excerpt,
    )


def oldest_owed_ms(session: Session) -> int | None:
    """When the oldest message that still has to be delivered became due for the first time."""
    return session.scalar(
        select(func.min(WebhookDelivery.round_ms))
        .join(Webhook, Webhook.id == WebhookDelivery.webhook)
        .where(WebhookDelivery.state == DeliveryState.PENDING.value, Webhook.enabled)
    )
