"""Kinds of fields that events have beside those of everything: names, zones, labels, and more."""

import json
import math
import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from infra.auth.policy import Tier
from infra.control.schemas import FROM_TEXT, at, printable
from infra.events.desired import MAX_DVR_WINDOW_S
from infra.renditions import MOST, NAMES

MAX_METADATA_BYTES = 8 * 1024
MAX_DEPTH = 32
"""Of metadata."""
MAX_LABELS = 32
MAX_FUNCTIONS = 32
LABEL = r"[a-z0-9][a-z0-9._/-]{0,62}"
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", re.ASCII)
_NOT_ZONES = ("posix/", "right/", "posixrules", "localtime")
"""What lies among the zones on some machines."""


Text = TypeVar("Text", bound=str)


class Latency(StrEnum):
    """How far behind live players aim to be."""

    REALTIME = "realtime"
    """WebRTC first: some hundred milliseconds."""
    LOW = "low"
    """LL-HLS alone: some seconds, and a server carries more viewers."""


def _rendition(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"{name[:40]!r} is none of {', '.join(NAMES)}")
    return name


def _distinct(names: list[Text]) -> list[Text]:
    if len(set(names)) < len(names):
        raise ValueError("one is named twice")
    return names


def zone_named(name: str) -> str:
    """The name, if this machine knows the zone."""
    try:
        if _ZONE.fullmatch(name) is None or name.startswith(_NOT_ZONES):
            raise ValueError
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise ValueError(f"{name[:64]!r} is no IANA time zone, such as Europe/Berlin") from None
    return name


def local(ms: int | None, zone: str | None) -> str | None:
    """The time as people in the zone write it, with its offset."""
    moment = at(ms)
    if moment is None or zone is None:
        return None
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")


def _opaque(data: dict[str, Any]) -> dict[str, Any]:
    if not _storable(data, MAX_DEPTH):
        raise ValueError(
            f"it holds NUL, half a character, a number that JSON has not, or {MAX_DEPTH} levels"
        )
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if (size := len(text.encode())) > MAX_METADATA_BYTES:
        raise ValueError(f"it is {size} bytes of JSON; {MAX_METADATA_BYTES} are allowed")
    return data


def _storable(value: object, depth: int) -> bool:
    """Whether both databases hold it as it is, and every client can read it."""
    match value:
        case str():
            return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
        case float():
            return math.isfinite(value)
        case dict() | list() if depth == 0:
            return False
        case dict():
            return all(_storable(each, depth - 1) for pair in value.items() for each in pair)
        case list():
            return all(_storable(each, depth - 1) for each in value)
    return True


def end_after_start(starts_at: datetime | None, ends_at: datetime | None) -> None:
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise ValueError("ends_at must be later than starts_at")


Renditions = Annotated[
    list[
        Annotated[
            str, AfterValidator(_rendition), WithJsonSchema({"type": "string", "enum": list(NAMES)})
        ]
    ],
    Field(max_length=MOST, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]
Tiers = Annotated[
    list[Annotated[Tier, FROM_TEXT]],
    Field(min_length=1, max_length=len(Tier), json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]
DvrWindow = Annotated[int, Field(ge=0, le=MAX_DVR_WINDOW_S)]
LobbyOpens = Annotated[int, Field(ge=0, le=7 * 86400)]
EndGrace = Annotated[int, Field(ge=0, le=86400)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(zone_named)]
LabelName = Annotated[str, StringConstraints(pattern=f"^{LABEL}$")]
LabelValue = Annotated[
    str, StringConstraints(min_length=1, max_length=128), AfterValidator(printable)
]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=MAX_LABELS)]
Metadata = Annotated[dict[str, Any], AfterValidator(_opaque)]
ColdFunctions = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]],
    Field(max_length=MAX_FUNCTIONS, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]
