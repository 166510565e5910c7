"""`livepath webhooks`: endpoints that public events are delivered to, over the control API."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import times
from infra.cli.api import api, example, first, group, option
from infra.cli.listener import listen
from infra.cli.output import (
    AsJson,
    Limit,
    print_fields,
    print_json,
    print_line,
    print_table,
    state,
    when,
    words,
)

if TYPE_CHECKING:
    from infra.client import Client
    from infra.client.models import Delivery, NewWebhook, Webhook

app = group("Webhooks: endpoints, what was delivered to them, and once more what was not.")
WEBHOOK = "wh_2kq5mzx7c3v4b6n7a8sd"
WebhookId = Annotated[
    str, typer.Argument(help="Id of the webhook, as `livepath webhooks ls` shows it.")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="event.live, event.* or *: once for each. Default: all."),
]
Description = Annotated[str | None, typer.Option(help="For people.")]
app.command(epilog=example("livepath webhooks listen --port 9000"))(listen)


@app.command(
    epilog=example(
        "livepath webhooks create https://example.com/hooks --type 'event.*' --type asset.ready"
    )
)
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Where messages are posted.")],
    *,
    types: Types = None,
    description: Description = None,
    as_json: AsJson = False,
) -> None:
    """Have public events delivered; the secret that signs them is shown this once."""
    fields: Any = _given(types=types, description=description)
    with api(context) as client:
        _show_secret(client.webhooks.create(url, **fields), as_json)


@app.command("ls", epilog=example("livepath webhooks ls"))
def list_webhooks(context: typer.Context, limit: Limit = 50, *, as_json: AsJson = False) -> None:
    """Webhooks of the project, newest first."""
    with api(context) as client:
        found = first(limit, client.webhooks.list)
    if as_json:
        print_json(found)
        return
    print_table(
        ("webhook", "url", "types", "state", "failing since", "description"),
        [
            (
                one.id,
                one.url,
                " ".join(one.types),
                state("enabled" if one.enabled else "disabled"),
                when(one.failing_since),
                one.description,
            )
            for one in found
        ],
    )


@app.command(epilog=example(f"livepath webhooks show {WEBHOOK}"))
def show(context: typer.Context, webhook: WebhookId, *, as_json: AsJson = False) -> None:
    """One webhook, without its secret."""
    with api(context) as client:
        _show(client.webhooks.get(webhook), as_json)


@app.command(epilog=example(f"livepath webhooks update {WEBHOOK} --enable"))
def update(
    context: typer.Context,
    webhook: WebhookId,
    *,
    url: Annotated[str | None, typer.Option(help="Where messages are posted.")] = None,
    types: Types = None,
    description: Description = None,
    enabled: Annotated[
        bool | None,
        typer.Option("--enable/--disable", help="What waits is sent once it is enabled."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is named and keep the rest."""
    changes: Any = _given(url=url, types=types, description=description, enabled=enabled)
    if not changes:
        raise typer.BadParameter("say what to change", param_hint="options")
    with api(context) as client:
        _show(client.webhooks.update(webhook, **changes), as_json)


@app.command(epilog=example(f"livepath webhooks rm {WEBHOOK}"))
def rm(
    context: typer.Context,
    webhooks: Annotated[list[str], typer.Argument(help="Ids of webhooks.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove webhooks, with the log of their deliveries."""
    with api(context) as client:
        for webhook in webhooks:
            gone = client.webhooks.get(webhook)
            client.webhooks.delete(webhook)
            if as_json:
                print_line(gone)
            else:
                print(f"{webhook}: removed")


@app.command("test", epilog=example(f"livepath webhooks test {WEBHOOK}"))
def send_test(context: typer.Context, webhook: WebhookId, *, as_json: AsJson = False) -> None:
    """Send a `webhook.test` to this endpoint alone."""
    with api(context) as client:
        _say(client.webhooks.test(webhook), as_json)


@app.command(epilog=example(f"livepath webhooks deliveries {WEBHOOK} --state failed"))
def deliveries(
    context: typer.Context,
    webhook: WebhookId,
    delivery: Annotated[
        str | None, typer.Argument(help="One of them, with every attempt and its message.")
    ] = None,
    *,
    wanted: Annotated[
        str | None, typer.Option("--state", help="Only those: pending, delivered or failed.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """What was sent, newest first, and what became of it."""
    with api(context) as client:
        if delivery is not None:
            _show_delivery(client.webhooks.delivery(webhook, delivery), as_json)
            return
        found = first(limit, client.webhooks.deliveries, webhook, state=wanted)
    if as_json:
        print_json(found)
        return
    print_table(
        ("delivery", "type", "event", "state", "attempts", "created", "next attempt"),
        [
            (
                one.id,
                one.type,
                one.event or "",
                state(one.state),
                str(one.attempt_count),
                when(one.created_at),
                when(one.next_attempt_at),
            )
            for one in found
        ],
    )


@app.command(epilog=example(f"livepath webhooks replay {WEBHOOK} --since -2h"))
def replay(
    context: typer.Context,
    webhook: WebhookId,
    delivery: Annotated[str | None, typer.Argument(help="One delivery.")] = None,
    *,
    since: Annotated[
        str | None, typer.Option(help="All of a time: 2030-06-01T18:00:00Z, or -2h from now.")
    ] = None,
    until: Annotated[str, typer.Option(help="In the same forms.")] = "now",
    delivered: Annotated[
        bool, typer.Option("--delivered", help="Also those that were delivered.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deliver once more: one delivery, or what failed or never came in a time."""
    if (delivery is None) == (since is None):
        raise typer.BadParameter("give one of both", param_hint="DELIVERY, --since")
    now = datetime.now(UTC)
    with api(context) as client:
        if delivery is not None:
            _say(client.webhooks.replay_delivery(webhook, delivery), as_json)
            return
        begins = option("--since", lambda: times.moment(str(since), None, now))
        ends = option("--until", lambda: times.moment(until, None, now))
        count = _replayed(client, webhook, begins, ends, failed_only=not delivered)
    if as_json:
        print_json({"webhook": webhook, "deliveries": count})
    else:
        print(f"{webhook}: {count} deliveries are on their way again")


@app.command("rotate-secret", epilog=example(f"livepath webhooks rotate-secret {WEBHOOK}"))
def rotate_secret(
    context: typer.Context,
    webhook: WebhookId,
    grace: Annotated[
        str | None, typer.Option(help="How long the old one signs as well; default: a day.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Replace the secret; the new one is shown this once."""
    grace_s = None if grace is None else option("--grace", lambda: times.whole_seconds(grace))
    with api(context) as client:
        _show_secret(client.webhooks.rotate_secret(webhook, grace_s=grace_s), as_json)


def _replayed(
    client: "Client", webhook: str, since: datetime, until: datetime, *, failed_only: bool
) -> int:
    """How many; the API takes a part of the time in each call."""
    count, rest = 0, since
    while True:
        again = client.webhooks.replay(webhook, rest, until, failed_only=failed_only)
        count += again.deliveries
        if again.next_since is None:
            return count
        rest = again.next_since


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _show(webhook: "Webhook", as_json: bool) -> None:
    if as_json:
        print_json(webhook)
        return
    print_fields(
        {
            "webhook": webhook.id,
            "url": webhook.url,
            "types": " ".join(webhook.types),
            "description": webhook.description,
            "state": state("enabled" if webhook.enabled else "disabled"),
            "because": webhook.disabled_reason,
            "failing since": when(webhook.failing_since),
            "old secret until": when(webhook.old_secret_until),
            "created": when(webhook.created_at),
        }
    )


def _show_secret(made: "NewWebhook", as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        print(f"{made.id}\n{made.secret}")


def _say(delivery: "Delivery", as_json: bool) -> None:
    if as_json:
        print_json(delivery)
    else:
        print(f"{delivery.id}: {delivery.state}")


def _show_delivery(delivery: "Delivery", as_json: bool) -> None:
    if as_json:
        print_json(delivery)
        return
    print_fields(
        {
            "delivery": delivery.id,
            "message": delivery.message,
            "type": delivery.type,
            "event": delivery.event,
            "state": state(delivery.state),
            "data": words(delivery.data or {}),
        }
    )
    print()
    print_table(
        ("attempt", "at", "status", "ms", "error", "answer"),
        [
            (
                str(one.number),
                when(one.at),
                "" if one.status is None else str(one.status),
                str(one.duration_ms),
                one.error or "",
                one.excerpt.partition("\n")[0],
            )
            for one in delivery.attempts
        ],
    )
