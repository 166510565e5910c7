"""Events as people see them on a terminal. Upstream: `infra.cli.events`, `infra.cli.screens`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from infra.cli.output import print_fields, print_table, state, when, words

if TYPE_CHECKING:
    from infra.client.models import Event


def print_events(events: "Iterable[Event]") -> None:
    print_table(
        ("event", "name", "state", "starts", "encoders", "labels"),
        [
            (
                one.id,
                one.name,
                state(one.state),
                one.starts_at_local or when(one.starts_at),
                encoders(one),
                words(one.labels),
            )
            for one in events
        ],
    )


def print_event(event: "Event") -> None:
    srt, whip, playback = event.ingest.srt, event.ingest.whip, event.playback
    print_fields(
        {
            "event": event.id,
            "name": event.name,
            "state": state(event.state),
            "starts": event.starts_at_local or when(event.starts_at),
            "ends": event.ends_at_local or when(event.ends_at),
            "lobby opens": when(event.lobby_opens_at),
            "was live": _span(event),
            "access": event.access,
            "renditions": " ".join(event.renditions),
            "labels": words(event.labels),
            "recording": "parts are or were lost" if event.recording.degraded else "",
            "encoders": encoders(event),
            "SRT": srt.url if srt else "",
            "SRT, backup": srt.backup_url if srt else "",
            "WHIP": whip.url if whip else "",
            "WHIP token": whip.token if whip else "",
            "publish page": whip.publish_url if whip else "",
            "player": playback.player_url,
            "LL-HLS": playback.hls_url,
            "WHEP": playback.whep_url,
            "recording at": playback.vod_url,
        }
    )
    if event.ingest.recent:
        print()
        print_table(
            ("at", "what encoders met", ""),
            [(when(one.at), one.type, one.message) for one in event.ingest.recent],
        )


def encoders(event: "Event") -> str:
    """Who is connected, and who of them is on the air."""
    places = {"primary": event.ingest.primary, "backup": event.ingest.backup}
    return ", ".join(
        f"{name} on the air" if name == event.ingest.active else name
        for name, place in places.items()
        if place.connected
    )


def _span(event: "Event") -> str:
    if event.started_at is None:
        return ""
    ended = "" if event.ended_at is None else f" to {when(event.ended_at)}"
    return when(event.started_at) + ended
