"""Events as they travel over the API."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from infra.control.event_fields import (
    ColdFunctions,
    DvrWindow,
    EndGrace,
    Labels,
    Latency,
    LobbyOpens,
    Metadata,
    Renditions,
    Tiers,
    TimeZone,
    end_after_start,
)
from infra.control.ingest_schemas import IngestOut
from infra.control.schemas import FROM_TEXT, Access, In, Moment, Name, Out, Timestamp
from infra.control.viewer_schemas import PlaybackLinks
from infra.lifecycle import AutoStart, EventState

_LABELS = [{"team": "sales"}]
NULLABLE = frozenset({"starts_at", "ends_at", "time_zone", "cold_functions", "tiers"})
"""Of what can be changed; null: none is said."""


Starting = Annotated[AutoStart, FROM_TEXT]
Aim = Annotated[Latency, FROM_TEXT]


class EventCreate(In):
    """A new event."""

    name: Name = Field(examples=["Launch day"])
    draft: bool = Field(
        False,
        description="Only prepare it: publishers are refused and viewers find nothing until "
        "`POST /v1/events/{id}/schedule`.",
    )
    starts_at: Moment | None = Field(
        None,
        description="When it is announced to start, RFC 3339 with an offset. Encoders may connect "
        "earlier.",
        examples=["2030-06-01T18:00:00Z"],
    )
    ends_at: Moment | None = Field(
        None,
        description="When it is announced to end, later than `starts_at`.",
        examples=["2030-06-01T19:30:00Z"],
    )
    time_zone: TimeZone | None = Field(
        None,
        description="IANA name of the zone in which times are shown to people.",
        examples=["Europe/Berlin"],
    )
    lobby_opens_s: LobbyOpens = Field(
        900, description="Seconds before `starts_at` at which the state becomes `lobby`."
    )
    auto_start: Starting = Field(
        AutoStart.ON_PUBLISH,
        description="`on_publish`: the first picture begins the event. `at_time`: pictures that "
        "come before `starts_at` are seen by nobody.",
    )
    auto_end: bool = Field(
        False,
        description="End it by itself, `end_grace_s` after `ends_at`, also when nobody published.",
    )
    end_grace_s: EndGrace = Field(300, description="Seconds that `auto_end` waits.")
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
    latency: Aim = Field(
        Latency.REALTIME,
        description="What players aim for. `realtime`: WebRTC first. `low`: LL-HLS alone.",
    )
    recording: bool = Field(
        True,
        description="`false`: what is broadcast is kept nowhere, so that there is no recording, no "
        "clip, no picture and no caption of it, and viewers cannot go back.",
    )
    cold_functions: ColdFunctions | None = Field(
        None,
        description="Functions that run by themselves for what this event records, by name; null: "
        "all. Without `archive` there is no recording for viewers.",
        examples=[["archive", "thumbnails"]],
    )
    tiers: Tiers | None = Field(
        None,
        description="Tiers that its viewer tokens may have (docs/access.md); null: all.",
        examples=[["broadcast", "interactive"]],
    )
    labels: Labels = Field(
        default_factory=dict, description="For filters: `?label=team:sales`.", examples=_LABELS
    )
    metadata: Metadata = Field(
        default_factory=dict,
        description="A JSON object of your own, at most 8 KB; nothing here reads it.",
    )

    @model_validator(mode="after")
    def _times(self) -> Self:
        end_after_start(self.starts_at, self.ends_at)
        if self.auto_start is AutoStart.AT_TIME and self.starts_at is None:
            raise ValueError("auto_start at_time needs starts_at")
        if self.dvr_window_s and not self.recording:
            raise ValueError("dvr_window_s needs the recording: older segments come from it")
        if self.auto_end and self.ends_at is None:
            raise ValueError("auto_end needs ends_at")
        return self


def _without_null(schema: dict[str, Any]) -> None:
    """Say of which fields null means something."""
    for name, field in schema["properties"].items():
        if name not in NULLABLE:
            kept = [each for each in field.get("anyOf", ()) if each != {"type": "null"}]
            if len(kept) == 1:
                del field["anyOf"]
                field.update(kept[0])
            field.pop("default", None)


class EventPatch(In):
    """Changes; fields left out stay as they are."""

    model_config = ConfigDict(json_schema_extra=_without_null)

    name: Name | None = None
    starts_at: Moment | None = Field(None, description="null: no announced start.")
    ends_at: Moment | None = Field(None, description="null: no announced end.")
    time_zone: TimeZone | None = Field(None, description="null: none.")
    lobby_opens_s: LobbyOpens | None = None
    auto_start: Starting | None = Field(None, description="Only before the event is live.")
    auto_end: bool | None = None
    end_grace_s: EndGrace | None = None
    access: Access | None = None
    takeover: bool | None = None
    reconnect_window_s: int | None = Field(None, ge=0, le=3600)
    renditions: Renditions | None = Field(
        None, description="All of them; only before the event is live."
    )
    dvr_window_s: DvrWindow | None = Field(None, description="Only before the event is live.")
    latency: Aim | None = None
    recording: bool | None = Field(None, description="Only before the event is live.")
    cold_functions: ColdFunctions | None = Field(
        None, description="All of them, for what is recorded from now on; null: all there are."
    )
    tiers: Tiers | None = Field(
        None, description="All of them, for what is issued or changed from now on; null: all."
    )
    labels: Labels | None = Field(None, description="All of them.", examples=_LABELS)
    metadata: Metadata | None = Field(None, description="The whole of it.")

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set - NULLABLE:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it as it is")
        return self


class RecordingOut(Out):
    enabled: bool
    degraded: bool = Field(description="Part of the recording is or was lost (a full disk).")


class EventOut(Out):
    """An event with everything its owner needs."""

    id: str = Field(examples=["ev_2kq5mzx7c3v4b6n7a8sd"])
    name: str
    state: EventState
    starts_at: Timestamp | None
    ends_at: Timestamp | None
    time_zone: str | None = Field(examples=["Europe/Berlin"])
    starts_at_local: str | None = Field(
        description="`starts_at` in `time_zone`, to show to people.",
        examples=["2030-06-01T20:00:00+02:00"],
    )
    ends_at_local: str | None
    lobby_opens_at: Timestamp | None
    lobby_opens_s: int
    auto_start: AutoStart
    auto_end: bool
    end_grace_s: int
    access: Access
    takeover: bool
    reconnect_window_s: int
    target_duration_s: int
    renditions: list[str] = Field(
        description="Beside the source. One that is larger than the source is left out on the air.",
        examples=[["720p", "360p", "audio-only"]],
    )
    dvr_window_s: int
    latency: Latency
    cold_functions: list[str] | None = Field(description="null: all there are.")
    tiers: list[str] | None = Field(description="null: all.", examples=[["broadcast"]])
    labels: dict[str, str] = Field(examples=_LABELS)
    metadata: dict[str, Any]
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None = Field(description="When it went live; null: it never did.")
    ended_at: Timestamp | None
    ingest: IngestOut
    playback: PlaybackLinks
    recording: RecordingOut


class EventPage(Out):
    items: list[EventOut]
    next: str | None = Field(description="Pass it as `after` to get the next page; null: the end.")
