"""Revocations as they travel over the API."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from infra.control.schemas import In, Out, Timestamp, printable, required_at
from infra.db.revocations import TokenRevocation


class RevocationCreate(In):
    """Which viewer tokens are to open nothing any more: exactly one of the three."""

    token_id: Annotated[str, StringConstraints(pattern=r"^tk_[a-z0-9]{1,60}$")] | None = Field(
        None, description="`id` of one token.", examples=["tk_2kq5mzx7c3v4b6n7a8sd"]
    )
    subject: (
        Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(printable)]
        | None
    ) = Field(None, description="All tokens that this viewer has been issued until now.")
    everybody: Literal[True] | None = Field(
        None, description="All tokens of the event that were issued until now."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(each is not None for each in (self.token_id, self.subject, self.everybody)) != 1:
            raise ValueError("give exactly one of token_id, subject and everybody")
        return self


class RevocationOut(Out):
    id: str = Field(examples=["rv_2kq5mzx7c3v4b6n7a8sd"])
    token_id: str | None
    subject: str | None
    everybody: bool
    created_at: Timestamp


class RevocationPage(Out):
    items: list[RevocationOut]
    next: str | None = Field(description="Pass it as `after` to get the next page; null: the end.")


def revocation_out(row: TokenRevocation) -> RevocationOut:
    return RevocationOut(
        id=row.id,
        token_id=row.token,
        subject=row.subject,
        everybody=row.token is None and row.subject is None,
        created_at=required_at(row.created_ms),
    )
