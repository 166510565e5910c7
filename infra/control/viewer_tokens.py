"""From what a client wants of a viewer token to its claims."""

from infra.auth.policy import ROLES, Tier
from infra.auth.tokens import ViewerClaims, network_of
from infra.control.ids import new_id
from infra.control.problems import Invalid
from infra.control.viewer_schemas import TokenCreate
from infra.db.control import Event


def claims_of(
    event: Event, wanted: TokenCreate, subject: str, path_prefix: str, issued_at: int
) -> ViewerClaims:
    """`issued_at`: Unix seconds, after all that was called back or changed."""
    tier = wanted.tier or ROLES[wanted.role].tier
    require_offered(event, tier)
    network = None
    if wanted.ip is not None:
        network = network_of(wanted.ip, exact=wanted.ip_binding == "address")
    return ViewerClaims(
        project=event.project,
        event=event.id,
        path_prefix=path_prefix,
        subject=subject,
        issued_at=issued_at,
        expires_at=issued_at + wanted.ttl_s,
        token_id=new_id("tk_"),
        role=wanted.role,
        tier=tier,
        cap=wanted.max_rendition,
        clips=wanted.clips,
        network=network,
    )


def require_offered(event: Event, tier: Tier) -> None:
    if event.tiers is not None and tier not in event.tiers:
        raise Invalid(
            f"event {event.id} does not offer the tier {tier}",
            f"Send one of {', '.join(event.tiers)} as tier, or change the event's tiers.",
        )
