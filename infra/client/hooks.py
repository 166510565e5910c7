"""`client.webhooks`: endpoints that public events are delivered to, and how that went.

What a receiver does with a delivery is `infra.client.signatures`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from infra.client.calls import Call
from infra.client.groups import Group, W, listing, operation
from infra.client.models import Delivery, NewWebhook, Nothing, Page, Redelivery, Webhook

WEBHOOKS, WEBHOOK = "/v1/webhooks", "/v1/webhooks/{webhook}"
DELIVERIES = WEBHOOK + "/deliveries"
DELIVERY = DELIVERIES + "/{delivery}"


class WebhookFields(TypedDict, total=False):
    """What can be said of a webhook and changed later."""

    types: Sequence[str]
    description: str
    enabled: bool


class WebhookChanges(WebhookFields, total=False):
    url: str


class Webhooks(Group[W]):
    """Endpoints of the project."""

    @operation
    def create(
        self, url: str, *, idempotency_key: str | None = None, **fields: Unpack[WebhookFields]
    ) -> Call[NewWebhook]:
        """Have events delivered; the secret that signs them is in this answer alone."""
        body = {"url": url, **fields}
        return Call("POST", WEBHOOKS, NewWebhook, body=body, key=idempotency_key)

    @listing
    def list(self, *, page_size: int | None = None) -> Call[Page[Webhook]]:
        return Call("GET", WEBHOOKS, Page[Webhook], query={"limit": page_size})

    @operation
    def get(self, webhook: str) -> Call[Webhook]:
        return Call("GET", WEBHOOK, Webhook, {"webhook": webhook})

    @operation
    def update(self, webhook: str, **changes: Unpack[WebhookChanges]) -> Call[Webhook]:
        return Call("PATCH", WEBHOOK, Webhook, {"webhook": webhook}, body=changes)

    @operation
    def delete(self, webhook: str) -> Call[Nothing]:
        """With its log. A lost answer is not asked for again: then it may be gone already."""
        return Call("DELETE", WEBHOOK, Nothing, {"webhook": webhook}, once=True)

    @operation
    def rotate_secret(
        self, webhook: str, *, grace_s: int | None = None, idempotency_key: str | None = None
    ) -> Call[NewWebhook]:
        """Replace the secret; until `old_secret_until` both sign."""
        path, body = WEBHOOK + "/rotate-secret", {} if grace_s is None else {"grace_s": grace_s}
        ids = {"webhook": webhook}
        return Call("POST", path, NewWebhook, ids, body=body, key=idempotency_key)

    @operation
    def test(self, webhook: str) -> Call[Delivery]:
        """Send a `webhook.test` to this endpoint alone."""
        return Call("POST", WEBHOOK + "/test", Delivery, {"webhook": webhook})

    @listing
    def deliveries(
        self, webhook: str, *, state: str | None = None, page_size: int | None = None
    ) -> Call[Page[Delivery]]:
        """What was sent, with every attempt."""
        query = {"state": state, "limit": page_size}
        return Call("GET", DELIVERIES, Page[Delivery], {"webhook": webhook}, query)

    @operation
    def delivery(self, webhook: str, delivery: str) -> Call[Delivery]:
        return Call("GET", DELIVERY, Delivery, {"webhook": webhook, "delivery": delivery})

    @operation
    def replay_delivery(self, webhook: str, delivery: str) -> Call[Delivery]:
        """Deliver it once more, with its `webhook-id`."""
        ids = {"webhook": webhook, "delivery": delivery}
        return Call("POST", DELIVERY + "/replay", Delivery, ids)

    @operation
    def replay(
        self, webhook: str, since: datetime, until: datetime, *, failed_only: bool = True
    ) -> Call[Redelivery]:
        """Deliver messages of a time once more; go on with `next_since` while there is one."""
        body = {"since": since, "until": until, "failed_only": failed_only}
        return Call("POST", WEBHOOK + "/replay", Redelivery, {"webhook": webhook}, body=body)
