"""What can be said of an event on a command line, and how it becomes fields of the API.

A wrong value raises `typer.BadParameter`, which names the option.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import times
from infra.cli.api import option

if TYPE_CHECKING:
    from infra.client.events import EventFields

EVENT = "ev_2kq5mzx7c3v4b6n7a8sd"
EventId = Annotated[str, typer.Argument(help="Id of the event, as `livepath events ls` shows it.")]
EventIds = Annotated[list[str], typer.Argument(help="Ids of events.")]
IfMatch = Annotated[
    str | None, typer.Option(help="Only if its ETag is still this one; `show --json` has it.")
]
StartsAt = Annotated[
    str | None,
    typer.Option(
        help="When it is announced to start: '2030-06-01 18:00' on the clocks of --time-zone, "
        "2030-06-01T18:00:00Z, or +30m from now."
    ),
]
EndsAt = Annotated[str | None, typer.Option(help="When it is announced to end, in these forms.")]
Lasts = Annotated[
    str | None, typer.Option("--duration", help="In place of --ends-at: how long, such as 1h30m.")
]
TimeZone = Annotated[
    str | None, typer.Option(help="In which its times are shown to people, as Europe/Vienna.")
]
LobbyOpens = Annotated[
    str | None, typer.Option(help="How long before the start its lobby opens, such as 15m.")
]
AutoStart = Annotated[
    str | None,
    typer.Option(help="on_publish: with the first picture; at_time: not before --starts-at."),
]
AutoEnd = Annotated[
    bool | None, typer.Option("--auto-end/--no-auto-end", help="End it after its announced end.")
]
EndGrace = Annotated[str | None, typer.Option(help="How long --auto-end waits, such as 5m.")]
Access = Annotated[str | None, typer.Option(help="public, or token: viewers need a token.")]
Takeover = Annotated[
    bool | None,
    typer.Option("--takeover/--no-takeover", help="A second encoder replaces the first."),
]
ReconnectWindow = Annotated[
    str | None, typer.Option(help="How long a lost encoder may take to come back, such as 90s.")
]
Rendition = Annotated[
    list[str] | None,
    typer.Option(help="What viewers can choose beside the source, as 720p; once for each."),
]
Dvr = Annotated[str | None, typer.Option(help="How far back viewers can go, such as 2h.")]
Latency = Annotated[str | None, typer.Option(help="realtime: WebRTC first; low: LL-HLS alone.")]
Label = Annotated[list[str] | None, typer.Option(help="`name=value`, for filters; once for each.")]
Recording = Annotated[
    bool | None,
    typer.Option("--recording/--no-recording", help="Whether anything of it is kept."),
]
Metadata = Annotated[
    str | None, typer.Option(help="A JSON object of your own, or @FILE that holds one.")
]
Tier = Annotated[
    list[str] | None,
    typer.Option(help="Tiers that viewers may have, in place of all; once for each."),
]
Function = Annotated[
    list[str] | None,
    typer.Option(help="Cold functions that run by themselves, in place of all; once for each."),
]


def given(**options: Any) -> "EventFields":
    """Fields of the API, from options by their names; what was not given is left out."""
    fields: Any = {}
    for name, value in options.items():
        if value is not None:
            field, read = _READ.get(name, (name, None))
            fields[field] = value if read is None else _read(name, read, value)
    return fields  # type: ignore[no-any-return]


def announced(
    starts_at: str | None,
    ends_at: str | None,
    duration: str | None,
    zone: str | None,
    now: datetime,
) -> "EventFields":
    """The times of an event, in the zone that its other times are in."""
    if ends_at is not None and duration is not None:
        raise typer.BadParameter("leave one of both out", param_hint="--ends-at, --duration")
    clocks = option("--time-zone", lambda: times.zone_named(zone))
    fields: EventFields = {}
    if starts_at is not None:
        fields["starts_at"] = _moment("--starts-at", starts_at, clocks, now)
    if ends_at is not None:
        fields["ends_at"] = _moment("--ends-at", ends_at, clocks, now)
    if duration is not None:
        start = fields.get("starts_at")
        if start is None:
            raise typer.BadParameter("it needs --starts-at", param_hint="--duration")
        fields["ends_at"] = start + timedelta(
            seconds=option("--duration", lambda: times.seconds(duration))
        )
    return fields


def cleared(names: Sequence[str]) -> "EventFields":
    """Fields of the API that take values away."""
    fields: Any = {}
    for name in names:
        if name not in _CLEARED:
            known = ", ".join(_CLEARED)
            raise typer.BadParameter(f"{name!r} is none of {known}", param_hint="--clear")
        field, nothing = _CLEARED[name]
        fields[field] = nothing
    return fields  # type: ignore[no-any-return]


def labels(pairs: Sequence[str]) -> dict[str, str]:
    found = dict(_label(one) for one in pairs)
    if len(found) < len(pairs):
        raise ValueError("a label has one value")
    return found


def metadata(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except OSError as error:
        raise ValueError(f"{text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _label(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=" if "=" in text else ":")
    if not (name and separator and value):
        raise ValueError(f"{text!r} is no name=value")
    return name, value


def _moment(name: str, text: str, zone: tzinfo | None, now: datetime) -> datetime:
    return option(name, lambda: times.moment(text, zone, now))


def _read(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    return option(f"--{name.replace('_', '-')}", lambda: read(value))


_READ: Mapping[str, tuple[str, Callable[[Any], Any] | None]] = {
    "lobby_opens": ("lobby_opens_s", times.whole_seconds),
    "end_grace": ("end_grace_s", times.whole_seconds),
    "reconnect_window": ("reconnect_window_s", times.whole_seconds),
    "dvr": ("dvr_window_s", times.whole_seconds),
    "target_duration": ("target_duration_s", times.whole_seconds),
    "rendition": ("renditions", None),
    "function": ("cold_functions", None),
    "tier": ("tiers", None),
    "label": ("labels", labels),
    "metadata": ("metadata", metadata),
}
"""Option -> the field that it is, and how its text is read."""
_CLEARED: Mapping[str, tuple[str, Any]] = {
    "starts-at": ("starts_at", None),
    "ends-at": ("ends_at", None),
    "time-zone": ("time_zone", None),
    "function": ("cold_functions", None),
    "tier": ("tiers", None),
    "label": ("labels", {}),
    "rendition": ("renditions", []),
    "metadata": ("metadata", {}),
}
"""What can be taken away -> the field, and what it is then."""
