"""`livepath events watch`: one event as it happens; the command alone, light to import."""

from typing import Annotated

import typer

from infra.cli.api import asynchronous, refusals
from infra.cli.event_options import EventId

OVER = ("archived", "cancelled")


def watch(
    context: typer.Context,
    event: EventId,
    *,
    until: Annotated[
        list[str] | None,
        typer.Option(
            help="End when the event is in this state; once for each. Default: archived, cancelled."
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(help="Begin behind the message with this `sequence`; default: with the next."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON document for every message, one a line.")
    ] = False,
) -> None:
    """Follow an event: its state, encoders and jobs. Ctrl-C ends it.

    On a terminal all of it is drawn in place; through a pipe a line is written for every message.
    It goes on by itself where a connection was lost.
    """
    import asyncio

    from infra.cli.watching import follow

    with refusals():
        asyncio.run(follow(asynchronous(context), event, until or OVER, after, as_json=as_json))
