"""Events as they travel over the API."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from infra.control.ingest_schemas import IngestOut
from infra.control.schemas import Access, In, Moment, Name, Out, Timestamp
from infra.control.viewer_schemas import PlaybackLinks
from infra.events.desired import MAX_DVR_WINDOW_S
from infra.lifecycle import EventState
from infra.renditions import MOST, NAMES


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"{name[:40]!r} is none of {', '.join(NAMES)}")
    return name


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a rendition is named twice")
    return names


Renditions = Annotated[
    list[
        Annotated[
            str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(NAMES)})
        ]
    ],
    Field(max_length=MOST, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]

DvrWindow = Annotated[int, Field(ge=0, le=MAX_DVR_WINDOW_S)]


class EventCreate(In):
    """A new event."""

    name: Name = Field(examples=["Launch day"])
    starts_at: Moment | None = Field(
        None,
        description="When it is announced to start, RFC 3339 with an offset. Encoders may connect "
        "earlier.",
        examples=["2030-06-01T18:00:00Z"],
    )
    access: Access = Field(
        "public", description="`token`: viewers need a token from `POST /v1/events/{id}/tokens`."
    )
    takeover: bool = Field(
        False,
        description="A second publisher replaces the first. False: it is refused while the first "
        "is connected.",
    )
    reconnect_window_s: int = Field(
        60, ge=0, le=3600, description="Seconds a dropped publisher may take to come back."
    )
    target_duration_s: int = Field(
        2, ge=1, le=10, description="HLS segment target, fixed for the life of the event."
    )
    renditions: Renditions = Field(
        default_factory=list,
        description="What viewers can choose beside the source, which is always there. "
        "`audio-only` lists the sound alone, the others are encoded.",
        examples=[["720p", "360p", "audio-only"]],
    )
    dvr_window_s: DvrWindow = Field(
        0,
        description="Seconds that viewers can go back while the event is live; 0: they cannot. "
        "At most 12 hours.",
        examples=[7200],
    )


class EventPatch(In):
    """Changes; fields left out stay as they are."""

    name: Name | None = None
    starts_at: Moment | None = Field(None, description="null: no announced start.")
    access: Access | None = None
    takeover: bool | None = None
    reconnect_window_s: int | None = Field(None, ge=0, le=3600)
    renditions: Renditions | None = Field(
        None, description="All of them; only before the event is live."
    )
    dvr_window_s: DvrWindow | None = Field(None, description="Only before the event is live.")

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set - {"starts_at"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it as it is")
        return self


class RecordingOut(Out):
    degraded: bool = Field(description="Part of the recording is or was lost (a full disk).")


class EventOut(Out):
    """An event with everything its owner needs."""

    id: str = Field(examples=["ev_2kq5mzx7c3v4b6n7a8sd"])
    name: str
    state: EventState
    access: Access
    takeover: bool
    starts_at: Timestamp | None
    reconnect_window_s: int
    target_duration_s: int
    renditions: list[str] = Field(
        description="Beside the source. One that is larger than the source is left out on the air.",
        examples=[["720p", "360p", "audio-only"]],
    )
    dvr_window_s: int
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None = Field(description="When the first picture was published.")
    ended_at: Timestamp | None
    ingest: IngestOut
    playback: PlaybackLinks
    recording: RecordingOut


class EventPage(Out):
    items: list[EventOut]
    next: str | None = Field(description="Pass it as `after` to get the next page; null: the end.")
