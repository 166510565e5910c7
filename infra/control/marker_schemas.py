"""Markers as they travel over the API: something that happens at a stretch of an event's timeline.

What a client may put into one is small, because every marker of a running event travels to its
media nodes and into its playlists.
"""

import json
import math
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from infra.control.schemas import Moment, Timestamp, at, printable, required_at
from infra.db.markers import Marker

MAX_VALUES = 10
MAX_DATA_BYTES = 512
_EXACT = 2**53
"""Whole numbers beyond it change on their way through JavaScript."""
_RESERVED = "title"
"""Has an attribute of its own in playlists."""


def _value(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _EXACT
    if whole or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError("a value must be a string, or a number that JSON can hold exactly")


def _small(data: dict[str, Any]) -> dict[str, Any]:
    if _RESERVED in data:
        raise ValueError(f"{_RESERVED} is a field of its own")
    size = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_DATA_BYTES:
        raise ValueError(f"it is {size} bytes of JSON; {MAX_DATA_BYTES} are allowed")
    return data


def _now_is_none(value: object, take: ValidatorFunctionWrapHandler) -> object:
    if value is None:
        raise ValueError('the end must be a time, or "now"')
    return None if value == "now" else take(value)


Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
    AfterValidator(printable),
]
DataName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
DataValue = Annotated[str | int | float, BeforeValidator(_value)]
Data = Annotated[dict[DataName, DataValue], Field(max_length=MAX_VALUES), AfterValidator(_small)]
EndOrNow = Annotated[
    Moment | None,
    WrapValidator(_now_is_none),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"const": "now"}]}),
]


class MarkerCreate(BaseModel):
    """A new marker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = Field(
        description="`poll`, `product`, `chapter` or a word of your own; players see "
        "`com.livepath.{kind}`.",
        examples=["poll"],
    )
    title: Title | None = Field(None, examples=["Who scores next?"])
    start: Moment | None = Field(
        None, description="RFC 3339 with an offset, on the clock of the media nodes; default: now."
    )
    end: Moment | None = Field(
        None, description="When it is over, if that is known; it cannot change later."
    )
    duration_s: float | None = Field(
        None, ge=0, le=7 * 86400, allow_inf_nan=False, description="In place of `end`."
    )
    data: Data = Field(
        default_factory=dict,
        description=f"At most {MAX_VALUES} values and {MAX_DATA_BYTES} bytes of JSON, for players.",
        examples=[{"poll_id": "p_17", "options": 3}],
    )

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.end is not None and self.duration_s is not None:
            raise ValueError("end and duration_s say the same; leave one out")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("end lies before start")
        return self


class MarkerPatch(BaseModel):
    """The end of a marker that has none yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    end: EndOrNow = Field(
        description='RFC 3339 with an offset, or `"now"`.', examples=["now", "2030-06-01T18:05:00Z"]
    )


class MarkerOut(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str = Field(examples=["mk_2kq5mzx7c3v4b6n7a8sd"])
    kind: str
    title: str | None
    start: Timestamp
    end: Timestamp | None = Field(description="null: it goes on until a PATCH ends it.")
    data: dict[str, DataValue]
    created_at: Timestamp


class MarkerPage(BaseModel):
    model_config = ConfigDict(frozen=True)

    items: list[MarkerOut]
    next: str | None


def marker_out(marker: Marker) -> MarkerOut:
    return MarkerOut(
        id=marker.id,
        kind=marker.kind,
        title=marker.title,
        start=required_at(marker.start_ms),
        end=at(marker.end_ms),
        data=marker.data,
        created_at=required_at(marker.created_ms),
    )


def end_ms_of(wanted: MarkerCreate, start_ms: int) -> int | None:
    """Where the marker ends, as its maker said it; None where that is open."""
    if wanted.duration_s is not None:
        return start_ms + round(wanted.duration_s * 1000)
    return None if wanted.end is None else milliseconds(wanted.end)


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
