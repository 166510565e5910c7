"""`livepath events token`, `change-tier` and `revoke`: who may watch an event, and how."""

from typing import Annotated

import typer

from infra.cli import times
from infra.cli.api import api, option
from infra.cli.event_options import EventId
from infra.cli.output import AsJson, print_fields, print_json, when

MaxRendition = Annotated[str | None, typer.Option(help="Nothing taller is shown, such as 720p.")]


def token(
    context: typer.Context,
    event: EventId,
    *,
    ttl: Annotated[str | None, typer.Option(help="For how long it is good, such as 12h.")] = None,
    clips: Annotated[bool, typer.Option("--clips", help="Its viewer may make clips.")] = False,
    subject: Annotated[
        str | None, typer.Option(help="Your name for the viewer, by which `revoke` finds it.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="viewer, interactive, backstage, host or moderator.")
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            help="broadcast, standard, interactive or backstage; default: as the role does."
        ),
    ] = None,
    max_rendition: MaxRendition = None,
    ip: Annotated[
        str | None, typer.Option(help="Good from this address, and those around it, alone.")
    ] = None,
    ip_exactly: Annotated[
        bool, typer.Option("--ip-exactly", help="Good from that one address alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Issue a viewer token, with ready addresses."""
    ttl_s = None if ttl is None else option("--ttl", lambda: times.whole_seconds(ttl))
    with api(context) as client:
        made = client.events.create_token(
            event,
            ttl_s=ttl_s,
            clips=clips or None,
            subject=subject,
            role=role,
            tier=tier,
            max_rendition=max_rendition,
            ip=ip,
            ip_binding="address" if ip_exactly else None,
        )
    if as_json:
        print_json(made)
        return
    print_fields(
        {
            "token": made.id,
            "good until": when(made.expires_at),
            "player": made.player_url,
            "LL-HLS": made.hls_url,
            "WHEP": made.whep_url,
            "recording": made.vod_url,
        }
    )


def change_tier(
    context: typer.Context,
    event: EventId,
    subject: Annotated[str, typer.Argument(help="Your name for the viewer.")],
    tier: Annotated[str, typer.Argument(help="How they watch from now on.")],
    *,
    max_rendition: MaxRendition = None,
    as_json: AsJson = False,
) -> None:
    """Change how a viewer watches while it does, without a reload."""
    with api(context) as client:
        changed = client.events.change_tier(event, subject, tier, max_rendition=max_rendition)
    if as_json:
        print_json(changed)
    else:
        print(f"{changed.subject}: {changed.tier}")


def revoke(
    context: typer.Context,
    event: EventId,
    *,
    token_id: Annotated[str | None, typer.Option("--token", help="Id of one token.")] = None,
    subject: Annotated[str | None, typer.Option(help="All tokens of this viewer.")] = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="All tokens that there are until now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Call viewer tokens back; who watches with one is cut off."""
    if sum((token_id is not None, subject is not None, everybody)) != 1:
        raise typer.BadParameter("give one of them", param_hint="--token, --subject, --everybody")
    with api(context) as client:
        gone = client.events.revoke_tokens(
            event, token_id=token_id, subject=subject, everybody=everybody
        )
    if as_json:
        print_json(gone)
    else:
        print(f"{gone.id}: called back {gone.token_id or gone.subject or 'everybody'}")
