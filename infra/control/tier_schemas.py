"""Changed tiers as they travel over the API."""

from typing import Annotated

from pydantic import Field

from infra.auth.policy import Tier
from infra.control.schemas import FROM_TEXT, In, Out, Timestamp, required_at
from infra.control.viewer_schemas import Cap, Subject
from infra.db.revocations import TierChangeRow


class TierChangeCreate(In):
    """How a viewer watches from now on."""

    subject: Subject = Field(description="As its tokens were issued.", examples=["viewer-7"])
    tier: Annotated[Tier, FROM_TEXT]
    max_rendition: Cap | None = Field(
        None, description="Takes the place of that of its tokens; left out: there is none."
    )


class TierChangeOut(Out):
    id: str = Field(examples=["tc_2kq5mzx7c3v4b6n7a8sd"])
    subject: str
    tier: Tier
    max_rendition: str | None
    created_at: Timestamp


class TierChangePage(Out):
    items: list[TierChangeOut]
    next: str | None = Field(description="Pass it as `after` to get the next page; null: the end.")


def tier_change_out(row: TierChangeRow) -> TierChangeOut:
    return TierChangeOut(
        id=row.id,
        subject=row.subject,
        tier=Tier(row.tier),
        max_rendition=row.cap,
        created_at=required_at(row.created_ms),
    )
