"""What an operator looks at: nodes, readings of an event over time, and a project at a glance."""

from datetime import datetime

from infra.client.models.base import Model
from infra.client.models.events import Place, Report
from infra.client.models.hooks import Webhook
from infra.client.models.jobs import Job


class Node(Model):
    """A media node."""

    name: str
    url: str | None
    draining: bool
    publishers_move: bool
    publishers: int
    viewers: int
    """WebRTC sessions."""
    events: int
    empty: bool
    """Nobody notices if it is stopped now, except LL-HLS players."""


class NodeList(Model):
    items: tuple[Node, ...]
    """By name."""


class SourceReading(Model):
    """One connected publisher, since the reading before."""

    role: str
    protocol: str
    on_air: bool
    kbps: float
    fps: float | None
    lost: float
    resent: float
    damaged: int
    rtt_ms: float
    latency_ms: int | None
    silent: bool


class ViewersReading(Model):
    """Who watches by way of the media node."""

    whep: int
    hls: int


class StageReading(Model):
    """Age of media when they leave a stage."""

    p50_ms: float
    p95_ms: float


class Reading(Model):
    """How a programme did at a moment."""

    event: str
    at: datetime
    sources: tuple[SourceReading, ...]
    viewers: ViewersReading
    stages: dict[str, StageReading]


class StateCount(Model):
    state: str
    count: int


class OverviewEvent(Model):
    id: str
    name: str
    state: str
    access: str
    starts_at: datetime | None
    ends_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    primary: Place
    backup: Place
    active: str | None
    recording_degraded: bool
    recent: tuple[Report, ...]
    reading: Reading | None


class OverviewEvents(Model):
    counts: tuple[StateCount, ...]
    items: tuple[OverviewEvent, ...]


class OverviewJobs(Model):
    counts: tuple[StateCount, ...]
    active: tuple[Job, ...]
    dead: tuple[Job, ...]


class OverviewWebhook(Model):
    webhook: Webhook
    pending: int
    failed: int


class ProjectOverview(Model):
    """A project at a glance."""

    at: datetime
    project: str
    project_name: str
    scopes: tuple[str, ...]
    readings: bool
    events: OverviewEvents
    jobs: OverviewJobs | None
    webhooks: tuple[OverviewWebhook, ...] | None
