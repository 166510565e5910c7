"""Webhooks as they travel over the API: endpoints, deliveries and their attempts."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from infra.control.schemas import In, Moment, Out, Timestamp, at, printable, required_at
from infra.db.outbox import OutboxMessage
from infra.db.webhooks import Webhook, WebhookAttempt, WebhookDelivery
from infra.outbox.catalogue import is_pattern
from infra.webhooks.deliveries import DeliveryState
from infra.webhooks.guard import MAX_URL

MAX_GRACE_S = 7 * 86_400


def _known(pattern: str) -> str:
    if not is_pattern(pattern):
        raise ValueError("no type is called so; use a type, group.* or *")
    return pattern


Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_URL),
    AfterValidator(printable),
    Field(
        description="Where messages are posted: https, of the public internet.",
        examples=["https://example.com/hooks/livepath"],
    ),
]
Pattern = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known)]
Types = Annotated[
    list[Pattern],
    Field(
        min_length=1,
        max_length=50,
        description="Types of public events: one by name, `group.*`, or `*` for all of them, "
        "those of later releases included.",
        examples=[["event.*", "asset.ready"]],
    ),
]
Description = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200),
    AfterValidator(printable),
    Field(description="For people.", examples=["Production, eu-west"]),
]


class WebhookCreate(In):
    """A new endpoint."""

    url: Url
    types: Types = Field(default_factory=lambda: ["*"])
    description: Description = ""
    enabled: bool = True


class WebhookPatch(In):
    """Changes; what is left out stays as it is."""

    url: Url | None = None
    types: Types | None = None
    description: Description | None = None
    enabled: bool | None = Field(
        None,
        description="`true` after it was disabled: what waits is sent, and failures are counted "
        "afresh.",
    )


class SecretRotate(In):
    """How the secret is replaced."""

    grace_s: int = Field(
        86_400,
        ge=0,
        le=MAX_GRACE_S,
        description="So long the old secret signs as well, so that receivers can change over.",
    )


class TimeRange(In):
    """Messages of this time are delivered once more."""

    since: Moment = Field(examples=["2030-06-01T18:00:00Z"])
    until: Moment = Field(description="Not included.", examples=["2030-06-01T19:00:00Z"])
    failed_only: bool = Field(
        True,
        description="`false`: also those that were delivered.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until <= self.since:
            raise ValueError("until must lie behind since")
        return self


class WebhookOut(Out):
    id: str = Field(examples=["wh_2kq5mzx7c3v4b6n7a8sd"])
    url: str
    types: list[str]
    description: str
    enabled: bool
    disabled_reason: str | None = Field(
        description="Why it was disabled by itself; null: it was not."
    )
    failing_since: Timestamp | None = Field(description="null: the last attempt succeeded.")
    old_secret_until: Timestamp | None = Field(
        description="Until then the secret before signs as well."
    )
    created_at: Timestamp
    updated_at: Timestamp


class WebhookWithSecret(WebhookOut):
    """Only this answer holds the secret."""

    secret: str = Field(
        description="Standard Webhooks secret; it is shown once.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    )


class WebhookPage(Out):
    items: list[WebhookOut]
    next: str | None


class AttemptTold(Out):
    number: int
    at: Timestamp
    duration_ms: int
    status: int | None = Field(description="null: there was no answer.")
    error: str | None = Field(description="null: it was delivered.")
    excerpt: str = Field(description="The beginning of the answer's body.")


class DeliveryOut(Out):
    id: str = Field(examples=["dl_0f6c5d1a9b3e47c2a8d1"])
    message: str = Field(
        description="`webhook-id`, the same for every attempt and replay.",
        examples=["msg_5c1b0f6c5d1a9b3e47c2a8d1"],
    )
    type: str = Field(examples=["event.live"])
    event: str | None
    state: Literal["pending", "delivered", "failed"]
    attempt_count: int
    next_attempt_at: Timestamp | None
    created_at: Timestamp
    delivered_at: Timestamp | None
    attempts: list[AttemptTold]


class DeliveryDetail(DeliveryOut):
    data: dict[str, Any] = Field(description="`data` of the message.")


class DeliveryPage(Out):
    items: list[DeliveryOut]
    next: str | None


class ReplayOut(Out):
    deliveries: int = Field(description="How many are sent once more.")
    next_since: Timestamp | None = Field(
        description="There are more in this time: repeat the request with this as `since`."
    )


def webhook_out(hook: Webhook, now_ms: int) -> WebhookOut:
    return WebhookOut(**_fields(hook, now_ms))


def webhook_with_secret(hook: Webhook, now_ms: int) -> WebhookWithSecret:
    return WebhookWithSecret(**_fields(hook, now_ms), secret=hook.secret)


def _fields(hook: Webhook, now_ms: int) -> dict[str, Any]:
    old = hook.old_secret is not None and now_ms < (hook.old_until_ms or 0)
    return {
        "id": hook.id,
        "url": hook.url,
        "types": hook.types,
        "description": hook.description,
        "enabled": hook.enabled,
        "disabled_reason": hook.disabled_reason,
        "failing_since": at(hook.failing_since_ms),
        "old_secret_until": at(hook.old_until_ms) if old else None,
        "created_at": required_at(hook.created_ms),
        "updated_at": required_at(hook.updated_ms),
    }


def delivery_out(
    delivery: WebhookDelivery, message: OutboxMessage, attempts: Sequence[WebhookAttempt]
) -> DeliveryOut:
    return DeliveryOut(**_told(delivery, message, attempts))


def delivery_detail(
    delivery: WebhookDelivery, message: OutboxMessage, attempts: Sequence[WebhookAttempt]
) -> DeliveryDetail:
    return DeliveryDetail(**_told(delivery, message, attempts), data=message.data)


def _told(
    delivery: WebhookDelivery, message: OutboxMessage, attempts: Sequence[WebhookAttempt]
) -> dict[str, Any]:
    pending = delivery.state == DeliveryState.PENDING
    return {
        "id": delivery.id,
        "message": message.id,
        "type": message.type,
        "event": message.event,
        "state": delivery.state,
        "attempt_count": delivery.attempt_count,
        "next_attempt_at": at(delivery.next_attempt_ms) if pending else None,
        "created_at": required_at(delivery.created_ms),
        "delivered_at": at(delivery.delivered_ms),
        "attempts": [
            AttemptTold(
                number=one.number,
                at=required_at(one.at_ms),
                duration_ms=one.duration_ms,
                status=one.status,
                error=one.error,
                excerpt=one.excerpt,
            )
            for one in attempts
        ],
    }
