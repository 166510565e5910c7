"""Secrets of a project as the API shows them: everything but themselves."""

from pydantic import Field

from infra.control.project_secrets import Held
from infra.control.schemas import Out, Timestamp, required_at
from infra.db.control import ProjectSecret


class SecretOut(Out):
    kid: str = Field(
        description="Names it in stream keys, WHIP tokens and HS256 viewer tokens.",
        examples=["k2"],
    )
    signs: bool = Field(
        description="New stream keys come from it, and so do new viewer tokens where the "
        "installation signs them with HS256."
    )
    open_events: int = Field(
        description="Events that are not over whose stream key comes from it. `rotate-key` moves "
        "an event to the one that signs."
    )
    created_at: Timestamp


class SecretList(Out):
    items: list[SecretOut]


def secret_out(row: ProjectSecret, held: Held) -> SecretOut:
    return SecretOut(
        kid=row.kid,
        signs=held.signs(row),
        open_events=held.events.get(row.kid, 0),
        created_at=required_at(row.created_ms),
    )
