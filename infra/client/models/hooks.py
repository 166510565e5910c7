"""Webhooks, their deliveries, and the messages that they carry."""

from datetime import datetime
from typing import Any

from pydantic import Field

from infra.client.models.base import Model


class Webhook(Model):
    """An endpoint, without its secret."""

    id: str
    url: str
    types: tuple[str, ...]
    description: str
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    old_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


class NewWebhook(Webhook):
    """An endpoint with its secret, which is shown this once."""

    secret: str


class DeliveryAttempt(Model):
    number: int
    at: datetime
    duration_ms: int
    status: int | None
    error: str | None
    excerpt: str


class Delivery(Model):
    id: str
    message: str
    type: str
    event: str | None
    state: str
    attempt_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None
    attempts: tuple[DeliveryAttempt, ...]
    data: dict[str, Any] | None = None
    """None in lists."""


class Redelivery(Model):
    deliveries: int
    next_since: datetime | None


class Message(Model):
    """A public event, as webhooks and the stream carry it."""

    type: str
    id: str = ""
    """Empty of a `stream.gap`, which says that earlier messages are no longer kept."""
    timestamp: datetime | None = None
    project: str | None = None
    event: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    sequence: str | None = None
    """Its place in the stream, for `last_event_id`; None in webhooks."""
