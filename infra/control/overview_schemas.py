"""The overview and readings as they travel over the API."""

from typing import Literal

from pydantic import Field

from infra.control.ingest_schemas import Notice, PlaceOut
from infra.control.job_schemas import JobOut
from infra.control.schemas import Access, Out, Timestamp, required_at
from infra.control.webhook_schemas import WebhookOut
from infra.events.readings import Reading
from infra.lifecycle import EventState
from infra.publishers import Role


class SourceOut(Out):
    """One connected publisher, since the reading before."""

    role: Role
    protocol: Literal["srt", "whip"]
    on_air: bool = Field(description="false: it stands by.")
    kbps: float = Field(description="Received, kbit/s.", examples=[2480.5])
    fps: float | None = Field(description="Pictures a second; null in its first reading.")
    lost: float = Field(ge=0, le=1, description="Share of packets that never came in time.")
    resent: float = Field(ge=0, le=1, description="Share of packets that had to be sent again.")
    damaged: int = Field(description="Pictures with missing bytes.")
    rtt_ms: float
    latency_ms: int | None = Field(
        description="In which a lost SRT packet may still come; null: not SRT."
    )
    silent: bool = Field(description="It is connected and sends nothing.")


class ViewersOut(Out):
    """Who watches by way of the media node; a CDN's viewers are not among them."""

    whep: int
    hls: int = Field(description="At the live edge of LL-HLS; players that poll are not counted.")


class StageOut(Out):
    """Age of media when they leave a stage, ms."""

    p50_ms: float
    p95_ms: float


class ReadingOut(Out):
    """How a programme did at a moment, as its media node saw it."""

    event: str = Field(examples=["ev_2kq5mzx7c3v4b6n7a8sd"])
    at: Timestamp
    sources: list[SourceOut]
    viewers: ViewersOut
    stages: dict[str, StageOut] = Field(
        description="`demuxed`, `published`, `sent` (WebRTC), `packaged` (LL-HLS): over everything "
        "that the media node has on the air."
    )


class ReadingList(Out):
    items: list[ReadingOut] = Field(description="Oldest first.")


class OverviewEvent(Out):
    """An event as whoever looks after it wants to know of it; it holds no keys."""

    id: str
    name: str
    state: EventState
    access: Access
    starts_at: Timestamp | None
    ends_at: Timestamp | None
    started_at: Timestamp | None
    ended_at: Timestamp | None
    primary: PlaceOut
    backup: PlaceOut
    active: Role | None = Field(description="Whose media goes on the air.")
    recording_degraded: bool
    recent: list[Notice] = Field(
        description="What its media node reported in the last ten minutes, newest first."
    )
    reading: ReadingOut | None = Field(description="null: there is none, or it is off the air.")


class StateCount(Out):
    """How many there are in a state."""

    state: str
    count: int


class OverviewEvents(Out):
    counts: list[StateCount] = Field(description="Of events that are not over.")
    items: list[OverviewEvent] = Field(
        description="Of each state that is not over at most 50, those first that begin first, or "
        "that are newest; then the 30 newest that are over."
    )


class OverviewJobs(Out):
    """Work that is not done."""

    counts: list[StateCount] = Field(description="Jobs that succeeded are not counted.")
    active: list[JobOut] = Field(description="At most 30, newest first.")
    dead: list[JobOut] = Field(description="At most 30, newest first: they need a person.")


class OverviewWebhook(Out):
    webhook: WebhookOut
    pending: int = Field(description="Deliveries of the last 24 hours that are on their way.")
    failed: int = Field(description="Deliveries of the last 24 hours that were given up.")


class OverviewOut(Out):
    """A project at a glance."""

    at: Timestamp
    project: str
    project_name: str
    scopes: list[str] = Field(description="What this API key may do.")
    readings: bool = Field(description="false: the bus does not answer, so there are none.")
    events: OverviewEvents
    jobs: OverviewJobs | None = Field(description="null: the key lacks `jobs:read`.")
    webhooks: list[OverviewWebhook] | None = Field(
        description="null: the key lacks `webhooks:read`."
    )


def reading_out(reading: Reading) -> ReadingOut:
    return ReadingOut(
        event=reading.event,
        at=required_at(reading.at_ms),
        sources=[SourceOut(**dict(one)) for one in reading.sources],
        viewers=ViewersOut(whep=reading.viewers.whep, hls=reading.viewers.hls),
        stages={
            name: StageOut(p50_ms=ages.p50_ms, p95_ms=ages.p95_ms)
            for name, ages in reading.stages.items()
        },
    )
