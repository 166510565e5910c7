"""What travels over the API, with the words and examples that `/openapi.json` shows."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from infra.lifecycle import EventState
from infra.renditions import MOST, NAMES

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


Moment = Annotated[AwareDatetime, AfterValidator(_representable)]


def _rfc3339(moment: datetime) -> str:
    # Always three decimals, so that times sort as text.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


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


def at(ms: int | None) -> datetime | None:
    """The time that the API shows for a `*_ms` column."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def required_at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(moment: datetime | None) -> int | None:
    """The `*_ms` value of a time that a client sent."""
    return None if moment is None else round(moment.timestamp() * 1000)


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class EventCreate(_In):
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


class EventPatch(_In):
    """Changes; fields left out stay as they are."""

    name: Name | None = None
    starts_at: Moment | None = Field(None, description="null: no announced start.")
    access: Access | None = None
    takeover: bool | None = None
    reconnect_window_s: int | None = Field(None, ge=0, le=3600)
    renditions: Renditions | None = Field(
        None, description="All of them; only before the event is live."
    )

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set - {"starts_at"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it as it is")
        return self


class SrtOut(_Out):
    """SRT ingest, always encrypted."""

    url: str = Field(
        description="Paste it into ffmpeg between double quotes. `latency` is in microseconds, as "
        "ffmpeg counts.",
        examples=[
            "srt://media.example:8082?streamid=ev_2k…/k1.1.5x…&passphrase=…&latency=120000"
            "&mode=caller&pkt_size=1316"
        ],
    )
    stream_id: str = Field(description="For encoders with a field of its own: `EVENT/KEY`.")
    passphrase: str = Field(description="SRT encryption passphrase; it never travels.")
    latency_ms: int


class WhipOut(_Out):
    """WHIP ingest (RFC 9725), for browsers, OBS and everything else that speaks WebRTC."""

    url: str = Field(
        description="Endpoint that takes the SDP offer.",
        examples=["https://media.example/whip/ev_2kq5mzx7c3v4b6n7a8sd"],
    )
    token: str = Field(
        description="Bearer token; `rotate-key` replaces it.", examples=["k1.1.mzxw6ytboi…"]
    )
    publish_url: str = Field(
        description="Page that publishes a camera or a screen. The token is the fragment, so no "
        "server logs it; whoever has this link can publish.",
        examples=["https://live.example/publish/ev_2kq5mzx7c3v4b6n7a8sd#k1.1.mzxw6ytboi…"],
    )


class Notice(_Out):
    """Something a media node reported about a publisher of this event."""

    at: Timestamp
    type: str = Field(examples=["publisher.refused"])
    message: str = Field(examples=["wrong passphrase"])
    detail: dict[str, Any]


class IngestOut(_Out):
    srt: SrtOut | None = Field(description="null once the event is over.")
    whip: WhipOut | None = Field(description="null once the event is over.")
    recent: list[Notice] = Field(
        default_factory=list,
        description="Latest connections, refusals and warnings, newest first; only for one event.",
    )


class PlaybackLinks(_Out):
    hls_url: str = Field(
        description="LL-HLS multivariant playlist. `access: token`: use the URL "
        "that comes with a viewer token."
    )
    whep_url: str = Field(
        description="WebRTC (WHEP), for the lowest delay. `access: token`: send a viewer token as "
        "bearer token, or use the URL that comes with it.",
        examples=["https://media.example/live/default/ev_2kq5mzx7c3v4b6n7a8sd/main/whep"],
    )
    player_url: str = Field(description="Page with a player.")


class RecordingOut(_Out):
    degraded: bool = Field(description="Part of the recording is or was lost (a full disk).")


class EventOut(_Out):
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
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None = Field(description="When the first picture was published.")
    ended_at: Timestamp | None
    ingest: IngestOut
    playback: PlaybackLinks
    recording: RecordingOut


class EventPage(_Out):
    items: list[EventOut]
    next: str | None = Field(description="Pass it as `after` to get the next page; null: the end.")


class TokenCreate(_In):
    """A viewer token."""

    ttl_s: int = Field(4 * 3600, ge=10, le=7 * 86400, description="Seconds until it expires.")
    subject: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=128),
            AfterValidator(printable),
        ]
        | None
    ) = Field(None, description="Your id of the viewer; random when left out.")


class TokenOut(_Out):
    token: str
    expires_at: Timestamp
    hls_url: str = Field(description="The token is a path prefix and covers every child URL.")
    whep_url: str = Field(
        description="WebRTC (WHEP); the token is a path prefix.",
        examples=["https://media.example/t/TOKEN/live/default/ev_2kq5mzx7c3v4b6n7a8sd/main/whep"],
    )
    player_url: str = Field(description="The token is the fragment, so no server logs it.")


class AssetOut(_Out):
    """Something made from the recording."""

    id: str
    kind: str = Field(examples=["mp4", "vod"])
    key: str = Field(description="Object key in the bucket.")
    url: str = Field(description="Presigned download URL; ask again when it has expired.")
    url_expires_at: Timestamp
    content_type: str
    bytes: int
    duration_ms: int | None
    detail: dict[str, Any]
    created_at: Timestamp


class AssetPage(_Out):
    items: list[AssetOut]
    next: str | None


class AttemptOut(_Out):
    """One lease of a job by a worker."""

    number: int
    worker: str
    started_at: Timestamp
    ended_at: Timestamp | None
    outcome: str | None = Field(description="null while it runs.")
    error: str | None


class JobOut(_Out):
    """One function over one object."""

    id: str
    event: str
    feed: str
    function: str = Field(examples=["archive"])
    state: str = Field(examples=["succeeded"])
    queue: str
    input_key: str
    attempt_count: int
    max_attempts: int
    progress: float = Field(ge=0, le=1, description="Share of the work that is done.")
    error: str | None
    outputs: dict[str, Any]
    cost: dict[str, Any]
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    next_attempt_at: Timestamp | None


class JobDetail(JobOut):
    attempts: list[AttemptOut]


class JobPage(_Out):
    items: list[JobOut]
    next: str | None


class PlaybackOut(_Out):
    """What a player needs before it knows a token."""

    id: str
    name: str
    state: EventState
    access: Access
    starts_at: datetime | None = Field(description="When it is announced to start.")
    hls_url: str = Field(description="LL-HLS multivariant playlist.")
    whep_url: str = Field(
        description="WebRTC (WHEP), for the lowest delay; LL-HLS is for those who cannot connect.",
        examples=["https://media.example/live/default/ev_2kq5mzx7c3v4b6n7a8sd/main/whep"],
    )


class PublishOut(_Out):
    """What a publisher may know with the event's WHIP token alone."""

    id: str
    name: str
    state: EventState
    starts_at: datetime | None = Field(description="When it is announced to start.")
    whip_url: str = Field(description="Endpoint that takes the SDP offer.")
    recent: list[Notice] = Field(
        description="Latest connections, refusals and warnings, newest first."
    )
