"""`livepath events`: events from a terminal, over the control API."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import event_options as said
from infra.cli import times
from infra.cli.api import api, example, first, group, option
from infra.cli.event_options import EVENT, EventId, EventIds, IfMatch
from infra.cli.event_tables import print_event, print_events
from infra.cli.event_viewers import change_tier, revoke, token
from infra.cli.event_work import clip, end
from infra.cli.output import AsJson, Limit, print_json, print_line
from infra.cli.watch import watch

if TYPE_CHECKING:
    from infra.client import Client
    from infra.client.events import EventChanges
    from infra.client.models import Event

app = group("Events: schedule, find, change, watch, end them; clips and viewer tokens.")


@app.command(
    epilog=example(
        "livepath events create 'Launch day' --starts-at '2030-12-01 18:00' --duration 90m"
        " --time-zone Europe/Vienna --rendition 720p --label team=sales"
    )
)
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="For people.")],
    *,
    starts_at: said.StartsAt = None,
    ends_at: said.EndsAt = None,
    duration: said.Lasts = None,
    time_zone: said.TimeZone = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="Only prepare it; `schedule` lets people find it.")
    ] = False,
    lobby_opens: said.LobbyOpens = None,
    auto_start: said.AutoStart = None,
    auto_end: said.AutoEnd = None,
    end_grace: said.EndGrace = None,
    access: said.Access = None,
    takeover: said.Takeover = None,
    reconnect_window: said.ReconnectWindow = None,
    rendition: said.Rendition = None,
    dvr: said.Dvr = None,
    latency: said.Latency = None,
    recording: said.Recording = None,
    label: said.Label = None,
    metadata: said.Metadata = None,
    function: said.Function = None,
    tier: said.Tier = None,
    target_duration: Annotated[
        str | None, typer.Option(help="HLS segment target, such as 2s; for good.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key makes no second event.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only its id.")] = False,
    as_json: AsJson = False,
) -> None:
    """Schedule an event; the answer says where encoders connect and viewers watch."""
    fields: Any = said.given(
        time_zone=time_zone, lobby_opens=lobby_opens, auto_start=auto_start, auto_end=auto_end,
        end_grace=end_grace, access=access, takeover=takeover, reconnect_window=reconnect_window,
        rendition=rendition, dvr=dvr, latency=latency, recording=recording, label=label,
        metadata=metadata, function=function, tier=tier, target_duration=target_duration,
        draft=draft or None,
    )  # fmt: skip
    fields |= said.announced(starts_at, ends_at, duration, time_zone, _now())
    with api(context) as client:
        made = client.events.create(name, idempotency_key=idempotency_key, **fields)
    if quiet:
        print(made.id)
    else:
        _show(made, as_json)


@app.command("ls", epilog=example("livepath events ls --state scheduled --label team=sales"))
def list_events(
    context: typer.Context,
    *,
    state: Annotated[
        list[str] | None, typer.Option(help="Only events in this state; once for each.")
    ] = None,
    label: said.Label = None,
    search: Annotated[
        str | None, typer.Option("--search", "-s", help="Only events with this in their names.")
    ] = None,
    starts_after: Annotated[str | None, typer.Option(help="In the forms of --starts-at.")] = None,
    starts_before: Annotated[str | None, typer.Option(help="In the forms of --starts-at.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="By starts_at, -starts_at, or -created_at, the default.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Events, newest first; an event is listed when all filters fit."""
    filters = {
        "state": state,
        "labels": option("--label", lambda: said.labels(label or ())),
        "q": search,
        "starts_after": _bound("--starts-after", starts_after),
        "starts_before": _bound("--starts-before", starts_before),
        "sort": sort,
    }
    with api(context) as client:
        found = first(limit, client.events.list, **filters)
    if as_json:
        print_json(found)
    else:
        print_events(found)


@app.command(epilog=example(f"livepath events show {EVENT}"))
def show(context: typer.Context, event: EventId, *, as_json: AsJson = False) -> None:
    """One event: its times, where encoders and viewers connect, what encoders met lately."""
    with api(context) as client:
        _show(client.events.get(event), as_json)


@app.command(
    epilog=example(f"livepath events update {EVENT} --starts-at '2030-12-01 19:00' --clear ends-at")
)
def update(
    context: typer.Context,
    event: EventId,
    *,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    starts_at: said.StartsAt = None,
    ends_at: said.EndsAt = None,
    duration: said.Lasts = None,
    time_zone: said.TimeZone = None,
    lobby_opens: said.LobbyOpens = None,
    auto_start: said.AutoStart = None,
    auto_end: said.AutoEnd = None,
    end_grace: said.EndGrace = None,
    access: said.Access = None,
    takeover: said.Takeover = None,
    reconnect_window: said.ReconnectWindow = None,
    rendition: said.Rendition = None,
    dvr: said.Dvr = None,
    latency: said.Latency = None,
    recording: said.Recording = None,
    label: said.Label = None,
    metadata: said.Metadata = None,
    function: said.Function = None,
    tier: said.Tier = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(
            help="Take away: starts-at, ends-at, time-zone, function, tier, label, rendition or "
            "metadata; once for each."
        ),
    ] = None,
    if_match: IfMatch = None,
    as_json: AsJson = False,
) -> None:
    """Change what is named and keep the rest. Times without an offset are in the event's zone."""
    changes: Any = said.given(
        name=name, time_zone=time_zone, lobby_opens=lobby_opens, auto_start=auto_start,
        auto_end=auto_end, end_grace=end_grace, access=access, takeover=takeover,
        reconnect_window=reconnect_window, rendition=rendition, dvr=dvr, latency=latency,
        recording=recording, label=label, metadata=metadata, function=function, tier=tier,
    )  # fmt: skip
    changes |= said.cleared(clear or ())
    with api(context) as client:
        zone = time_zone or _zone_of(client, event, starts_at, ends_at)
        changes |= said.announced(starts_at, ends_at, duration, zone, _now())
        if not changes:
            raise typer.BadParameter("say what to change", param_hint="options")
        _show(_updated(client, event, if_match, changes), as_json)


@app.command(epilog=example(f"livepath events schedule {EVENT}"))
def schedule(
    context: typer.Context, event: EventId, if_match: IfMatch = None, *, as_json: AsJson = False
) -> None:
    """Make a draft an event that publishers and viewers find."""
    with api(context) as client:
        _show(client.events.schedule(event, if_match=if_match), as_json)


@app.command(epilog=example(f"livepath events cancel {EVENT}"))
def cancel(context: typer.Context, events: EventIds, *, as_json: AsJson = False) -> None:
    """Cancel events that were never live."""
    with api(context) as client:
        for event in events:
            gone = client.events.cancel(event)
            if as_json:
                print_line(gone)
            else:
                print(f"{gone.id}: {gone.state}")


@app.command("rotate-key", epilog=example(f"livepath events rotate-key {EVENT} --keep-connected"))
def rotate_key(
    context: typer.Context,
    event: EventId,
    *,
    keep_connected: Annotated[
        bool,
        typer.Option("--keep-connected", help="Encoders that are connected stay: no cut."),
    ] = False,
    if_match: IfMatch = None,
    as_json: AsJson = False,
) -> None:
    """Replace stream key, passphrase and WHIP token; the old ones are refused at once."""
    disconnect = False if keep_connected else None
    with api(context) as client:
        _show(client.events.rotate_key(event, disconnect=disconnect, if_match=if_match), as_json)


app.command(epilog=example(f"livepath events end {EVENT} --wait"))(end)
app.command(epilog=example(f"livepath events clip {EVENT} --last 30s --title Goal --wait"))(clip)
app.command(epilog=example(f"livepath events watch {EVENT} --until live"))(watch)
app.command(epilog=example(f"livepath events token {EVENT} --ttl 12h --subject viewer-7"))(token)
app.command(
    "change-tier", epilog=example(f"livepath events change-tier {EVENT} viewer-7 interactive")
)(change_tier)
app.command(epilog=example(f"livepath events revoke {EVENT} --subject viewer-7"))(revoke)


def _show(event: "Event", as_json: bool) -> None:
    if as_json:
        print_json(event)
    else:
        print_event(event)


def _updated(
    client: "Client", event: str, if_match: str | None, changes: "EventChanges"
) -> "Event":
    return client.events.update(event, if_match=if_match, **changes)


def _zone_of(client: "Client", event: str, *given: str | None) -> str | None:
    """The event's zone, where a time was given that means another time elsewhere."""
    if any(text is not None and times.is_local(text) for text in given):
        return client.events.get(event).time_zone
    return None


def _bound(name: str, text: str | None) -> datetime | None:
    now = _now()
    return None if text is None else option(name, lambda: times.moment(text, None, now))


def _now() -> datetime:
    return datetime.now(UTC)
