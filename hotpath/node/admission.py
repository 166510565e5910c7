"""Desired state as ingest and origin need it: who may publish, who may watch."""

import base64
from collections.abc import Callable
from dataclasses import replace

import structlog

from hotpath.ingest.admission import AdmissionEntry, admission_table
from infra.auth.jws import VerifyingKey
from infra.auth.policy import Tier
from infra.auth.revocation import Revocation, Revoked
from infra.auth.signing import public_key
from infra.auth.tier_changes import TierChange, TierChanges
from infra.events.desired import DesiredProject, DesiredTier
from infra.events.desired_state import DesiredSnapshot
from infra.keys import ProgramKey
from infra.renditions import RUNGS

log = structlog.get_logger(__name__)


def publishers(
    snapshot: DesiredSnapshot, is_over: Callable[[ProgramKey], bool]
) -> list[AdmissionEntry]:
    """The admission table; what is over here is closed, whatever control knows yet."""
    return [
        replace(row, open=row.open and not is_over(ProgramKey(row.project, row.event, row.feed)))
        for row in admission_table(snapshot.projects, snapshot.events)
    ]


def keys_of(project: DesiredProject) -> dict[str, VerifyingKey]:
    """What the project's viewer tokens verify with, by kid; what cannot be read opens nothing."""
    found: dict[str, VerifyingKey] = {}
    for kid, encoded in project.secrets.items():
        try:
            found[kid] = base64.b64decode(encoded, validate=True)
        except ValueError:
            log.error("a project secret is not base64", project=project.id, kid=kid)
    for kid, encoded in project.public_keys.items():
        try:
            found[kid] = public_key(encoded)
        except ValueError:
            log.error("a public key cannot be read", project=project.id, kid=kid)
    return found


def revoked(snapshot: DesiredSnapshot) -> dict[str, Revoked]:
    """Event -> viewer tokens that were called back, for events that have any."""
    return {
        event.id: Revoked.of(
            Revocation(each.token, each.subject, each.until) for each in event.revocations
        )
        for event in snapshot.events.values()
        if event.revocations
    }


def tier_changes(snapshot: DesiredSnapshot) -> dict[str, TierChanges]:
    """Event -> tiers that were changed, for events that have any."""
    return {
        event.id: TierChanges.of(
            change for each in event.tiers if (change := _change(event.id, each)) is not None
        )
        for event in snapshot.events.values()
        if event.tiers
    }


def _change(event: str, wanted: DesiredTier) -> TierChange | None:
    """None for one that a later control may mean, and this node does not know."""
    try:
        tier = Tier(wanted.tier)
    except ValueError:
        tier = None
    if tier is None or (wanted.cap is not None and wanted.cap not in RUNGS):
        log.error("a tier is not known here", on=event, tier=wanted.tier, cap=wanted.cap)
        return None
    return TierChange(wanted.subject, tier, wanted.cap, wanted.until)
