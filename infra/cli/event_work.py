"""`livepath events end` and `clip`: what work of the cold path follows, and may be waited for."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from infra.cli import times
from infra.cli.api import api, option
from infra.cli.event_options import EventId, IfMatch
from infra.cli.output import AsJson, print_fields, print_json
from infra.cli.waiting import job_bar, wait_for_archive

WaitTimeout = Annotated[str, typer.Option("--timeout", help="How long --wait waits.")]


def end(
    context: typer.Context,
    event: EventId,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until its recording can be watched.")
    ] = False,
    timeout: WaitTimeout = "1h",
    if_match: IfMatch = None,
    as_json: AsJson = False,
) -> None:
    """End a running event: publishers are disconnected, the archive begins."""
    timeout_s = option("--timeout", lambda: times.seconds(timeout))
    with api(context) as client:
        ended = client.events.end(event, if_match=if_match)
        if wait:
            ended = wait_for_archive(client, ended, timeout_s)
    if as_json:
        print_json(ended)
        return
    print(f"{ended.id}: {ended.state}")
    if wait:
        print(ended.playback.vod_url)


def clip(
    context: typer.Context,
    event: EventId,
    *,
    start: Annotated[
        str | None,
        typer.Option(
            help="2030-06-01T18:05:00Z, or -45s from now; of an event that is over also seconds "
            "of its recording, as 12.5."
        ),
    ] = None,
    end: Annotated[str, typer.Option(help="In the same forms.")] = "now",
    last: Annotated[
        str | None, typer.Option(help="In place of both: how long until now, such as 30s.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="For people.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="instant: a playlist, at once; exact: an MP4 of the very pictures."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is there.")] = False,
    timeout: WaitTimeout = "10m",
    as_json: AsJson = False,
) -> None:
    """Make a clip of a stretch of an event, live or over."""
    if (start is None) == (last is None):
        raise typer.BadParameter("give one of both", param_hint="--start, --last")
    begins = f"-{last}" if start is None else start
    now = _now()
    from_ = option("--last" if start is None else "--start", lambda: times.place(begins, now))
    to = option("--end", lambda: times.place(end, now))
    timeout_s = option("--timeout", lambda: times.seconds(timeout))
    with api(context) as client:
        made = client.clips.create(event, from_, to, title=title, mode=mode)
        if wait:
            with job_bar(made.id) as seen:
                made = client.clips.wait(event, made.id, timeout_s=timeout_s, seen=seen)
    if as_json:
        print_json(made)
        return
    asset = made.asset
    shown = {"clip": made.id, "job": made.job, "state": made.state}
    links = {} if asset is None else {"viewers": asset.viewer_url, "download": asset.url}
    print_fields({**shown, **links})


def _now() -> datetime:
    return datetime.now(UTC)
