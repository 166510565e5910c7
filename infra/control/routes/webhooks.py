"""`/v1/webhooks`: endpoints that public events are delivered to, and how that went."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from infra.control.context import ControlContext
from infra.control.dependencies import (
    Change,
    Context,
    KeyHolder,
    Page,
    ProjectId,
    Session,
    begun,
)
from infra.control.idempotency import AnswersOnce
from infra.control.problems import Invalid
from infra.control.schemas import at
from infra.control.webhook_schemas import (
    DeliveryDetail,
    DeliveryOut,
    DeliveryPage,
    ReplayOut,
    SecretRotate,
    TimeRange,
    WebhookCreate,
    WebhookOut,
    WebhookPage,
    WebhookPatch,
    WebhookWithSecret,
    delivery_detail,
    delivery_out,
    webhook_out,
    webhook_with_secret,
)
from infra.control.webhooks import WebhookService
from infra.webhooks.deliveries import DeliveryState
from infra.webhooks.guard import EndpointRefused

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=AnswersOnce)
WebhookId = Annotated[
    str, Path(description="Id of the webhook.", examples=["wh_2kq5mzx7c3v4b6n7a8sd"])
]
DeliveryId = Annotated[
    str, Path(description="Id of the delivery.", examples=["dl_0f6c5d1a9b3e47c2a8d1"])
]


async def _check(context: ControlContext, url: str) -> None:
    try:
        await context.guard.check(url)
    except EndpointRefused as refused:
        raise Invalid(f"url: {refused}", refused.fix) from refused


# Both stand before the transaction in the signatures below, and are carried out before it begins;
# names are looked up for holders of a key only.
async def _creation(wanted: WebhookCreate, _holder: KeyHolder, context: Context) -> WebhookCreate:
    await _check(context, wanted.url)
    return wanted


async def _change(changes: WebhookPatch, _holder: KeyHolder, context: Context) -> WebhookPatch:
    if changes.url is not None:
        await _check(context, changes.url)
    return changes


Creation = Annotated[WebhookCreate, Depends(_creation, scope="function")]
Changes = Annotated[WebhookPatch, Depends(_change, scope="function")]


async def _service(session: Session, project: ProjectId, context: Context) -> WebhookService:
    return WebhookService(session, context, project)


Webhooks = Annotated[WebhookService, Depends(_service)]


@router.post("", status_code=201, summary="Have public events delivered to an endpoint")
async def create_webhook(
    wanted: Creation, response: Response, webhooks: Webhooks, context: Context
) -> WebhookWithSecret:
    """The answer holds the secret that signs deliveries; it is not shown again."""
    hook = await webhooks.create(wanted)
    response.headers["Location"] = f"/v1/webhooks/{hook.id}"
    return webhook_with_secret(hook, context.now_ms())


@router.get("", summary="List webhooks, newest first")
async def list_webhooks(webhooks: Webhooks, page: Page, context: Context) -> WebhookPage:
    rows, following = await webhooks.page(page)
    now = context.now_ms()
    return WebhookPage(items=[webhook_out(row, now) for row in rows], next=following)


@router.get("/{webhook}", summary="One webhook")
async def get_webhook(webhook: WebhookId, webhooks: Webhooks, context: Context) -> WebhookOut:
    return webhook_out(await webhooks.get(webhook), context.now_ms())


@router.patch("/{webhook}", summary="Change a webhook")
async def patch_webhook(
    webhook: WebhookId, changes: Changes, webhooks: Webhooks, context: Context
) -> WebhookOut:
    return webhook_out(await webhooks.patch(webhook, changes), context.now_ms())


@router.delete("/{webhook}", status_code=204, summary="Delete a webhook")
async def delete_webhook(
    webhook: WebhookId, project: KeyHolder, change: Change, context: Context
) -> None:
    """With its log; what was not delivered yet is dropped. Nothing is sent any more from the
    beginning on; where the request is cut short, the webhook is left disabled: repeat it."""
    emptied = False
    while not emptied:
        async with begun(context.databases.writing) as session:
            emptied = await WebhookService(session, context, project).empty(webhook)
    async with change() as session:
        await WebhookService(session, context, project).delete(webhook)


@router.post("/{webhook}/rotate-secret", summary="Replace the secret")
async def rotate_secret(
    webhook: WebhookId, webhooks: Webhooks, context: Context, wanted: SecretRotate | None = None
) -> WebhookWithSecret:
    """Until `old_secret_until` both secrets sign, each with a signature of its own."""
    hook = await webhooks.rotate_secret(webhook, (wanted or SecretRotate()).grace_s)
    return webhook_with_secret(hook, context.now_ms())


@router.post("/{webhook}/test", status_code=202, summary="Send a test message")
async def test_webhook(webhook: WebhookId, webhooks: Webhooks) -> DeliveryOut:
    """Of type `webhook.test`, to this endpoint alone. Read the delivery to see how it went."""
    return delivery_out(*await webhooks.test(webhook))


@router.get("/{webhook}/deliveries", summary="List deliveries, newest first")
async def list_deliveries(
    webhook: WebhookId,
    webhooks: Webhooks,
    page: Page,
    state: Annotated[DeliveryState | None, Query(description="Only those in this state.")] = None,
) -> DeliveryPage:
    """Each with its attempts: status, time and the beginning of the answer."""
    rows, following = await webhooks.deliveries(webhook, state, page)
    return DeliveryPage(items=[delivery_out(*row) for row in rows], next=following)


@router.get("/{webhook}/deliveries/{delivery}", summary="One delivery")
async def get_delivery(
    webhook: WebhookId, delivery: DeliveryId, webhooks: Webhooks
) -> DeliveryDetail:
    return delivery_detail(*await webhooks.delivery(webhook, delivery))


@router.post(
    "/{webhook}/deliveries/{delivery}/replay", status_code=202, summary="Deliver once more"
)
async def replay_delivery(
    webhook: WebhookId, delivery: DeliveryId, webhooks: Webhooks
) -> DeliveryOut:
    """The message keeps its `webhook-id`; a new round of attempts begins."""
    return delivery_out(*await webhooks.replay(webhook, delivery))


@router.post("/{webhook}/replay", status_code=202, summary="Deliver messages of a time once more")
async def replay_range(webhook: WebhookId, wanted: TimeRange, webhooks: Webhooks) -> ReplayOut:
    """Those that failed, and those that the endpoint never got; with `failed_only: false` all."""
    count, following = await webhooks.replay_range(webhook, wanted)
    return ReplayOut(deliveries=count, next_since=at(following))
