"""What the API's schemas are made of: kinds of fields, times, and what all of them have in common.

Each resource has a module of its own, `*_schemas`, with the words and examples that `/openapi.json`
shows.
"""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

Access = Literal["public", "token"]


def printable(text: str) -> str:
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise ValueError("control characters are not allowed")
    return text


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(printable),
]


def _representable(moment: datetime) -> datetime:
    # Years that every client and database can hold, whatever the offset.
    if not 1970 < moment.year < 9999:
        raise ValueError("the year must lie between 1971 and 9998")
    return moment


FROM_TEXT = Strict(strict=False)
"""JSON has neither times nor enumerations: they come as text."""
Moment = Annotated[AwareDatetime, FROM_TEXT, AfterValidator(_representable)]


def _rfc3339(moment: datetime) -> str:
    # Always three decimals, so that times sort as text.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def at(ms: int | None) -> datetime | None:
    """The time that the API shows for a `*_ms` column."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def required_at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(moment: datetime | None) -> int | None:
    """The `*_ms` value of a time that a client sent."""
    return None if moment is None else round(moment.timestamp() * 1000)


class In(BaseModel):
    """What a client sends. Strict: a number is no truth value and no text, as the schema says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Out(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)
