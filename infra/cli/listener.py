"""`livepath webhooks listen`: a receiver on this machine that shows what is delivered.

Without --secret it makes an endpoint for itself and removes it when it ends. What is not signed
with the secret is refused, and said.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.api import api
from infra.cli.messages import line
from infra.cli.output import print_line

if TYPE_CHECKING:
    from infra.client.models import Message


def listen(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0: any.", min=0, max=65535)] = 0,
    url: Annotated[
        str | None,
        typer.Option(help="By which the API reaches this port; default: http://127.0.0.1:PORT."),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="LIVEPATH_WEBHOOK_SECRET",
            help="Of an endpoint that leads here already; nothing is made then.",
        ),
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="event.* and the like; once for each.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON document for every message, one a line.")
    ] = False,
) -> None:
    """Receive webhooks here and print what was verified, until Ctrl-C.

    The API delivers to its own machine only with LIVEPATH_WEBHOOK_PRIVATE=true and
    LIVEPATH_WEBHOOK_HTTP=true.
    """
    from infra.cli.receiver import Receiver

    with Receiver(port) as receiver:
        place = url or f"http://127.0.0.1:{receiver.port}"
        with _endpoint(context, place, types, secret) as key:
            print(f"listening at {place}", file=sys.stderr, flush=True)
            _end_in_order()
            receiver.serve(key, print_line if as_json else _print)


def _end_in_order() -> None:
    """So that the endpoint is removed also where a script or a supervisor ends this."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


@contextlib.contextmanager
def _endpoint(
    context: typer.Context, url: str, types: list[str] | None, secret: str | None
) -> Iterator[str]:
    """The secret of an endpoint that leads here."""
    if secret is not None:
        yield secret
        return
    with api(context) as client:
        made = client.webhooks.create(
            url, types=types or ["*"], description="livepath webhooks listen"
        )
        try:
            yield made.secret
        finally:
            client.webhooks.delete(made.id)


def _print(message: "Message") -> None:
    print(line(message), flush=True)
