"""What the API answers, as frozen objects.

Invariant: a field or a value that a later server adds breaks nothing. Unknown fields are kept
(`model_extra`), and words such as states are text, not a closed set.
"""

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Anything that the API answers."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


M = TypeVar("M", bound=Model)


class Page(Model, Generic[M]):
    items: tuple[M, ...]
    next: str | None = None
    """The cursor of the following page; None: this is the last."""


class SrtIngest(Model):
    url: str
    backup_url: str
    stream_id: str
    backup_stream_id: str
    passphrase: str
    latency_ms: int


class WhipIngest(Model):
    url: str
    backup_url: str
    token: str
    publish_url: str


class Report(Model):
    """Something that a media node said about a publisher."""

    at: datetime
    type: str
    message: str
    detail: dict[str, Any]


class Place(Model):
    connected: bool


class Ingest(Model):
    """Where encoders connect, and who is there."""

    primary: Place
    backup: Place
    active: str | None
    srt: SrtIngest | None
    whip: WhipIngest | None
    recent: tuple[Report, ...] = ()


class Playback(Model):
    hls_url: str
    whep_url: str
    player_url: str
    vod_url: str


class RecordingState(Model):
    enabled: bool
    degraded: bool


class Event(Model):
    id: str
    name: str
    state: str
    starts_at: datetime | None
    ends_at: datetime | None
    time_zone: str | None
    starts_at_local: str | None
    ends_at_local: str | None
    lobby_opens_at: datetime | None
    lobby_opens_s: int
    auto_start: str
    auto_end: bool
    end_grace_s: int
    access: str
    takeover: bool
    reconnect_window_s: int
    target_duration_s: int
    renditions: tuple[str, ...]
    dvr_window_s: int
    latency: str
    cold_functions: tuple[str, ...] | None
    tiers: tuple[str, ...] | None = None
    """None: all, as those of servers that know none."""
    labels: dict[str, str]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    ingest: Ingest
    playback: Playback
    recording: RecordingState
    etag: str | None = None
    """For `if_match`; None in lists."""


class ViewerToken(Model):
    id: str
    """By which it can be called back."""
    token: str
    expires_at: datetime
    role: str
    tier: str
    transports: tuple[str, ...]
    """How it may be watched: `whep`, `hls`, the better one first."""
    hls_url: str
    whep_url: str
    player_url: str
    vod_url: str


class Revocation(Model):
    """Viewer tokens that open nothing any more."""

    id: str
    token_id: str | None
    subject: str | None
    everybody: bool
    created_at: datetime


class TierChange(Model):
    """How a viewer watches, whatever its tokens say."""

    id: str
    subject: str
    tier: str
    max_rendition: str | None
    created_at: datetime


class Marker(Model):
    id: str
    kind: str
    title: str | None
    start: datetime
    end: datetime | None
    data: dict[str, str | int | float]
    created_at: datetime


class Asset(Model):
    id: str
    kind: str
    key: str
    url: str
    url_expires_at: datetime
    viewer_url: str | None
    content_type: str
    bytes: int
    duration_ms: int | None
    detail: dict[str, Any]
    created_at: datetime


class Clip(Model):
    id: str
    job: str
    mode: str
    title: str | None
    start: datetime | float
    end: datetime | float
    state: str
    progress: float
    error: str | None
    asset: Asset | None
    created_at: datetime
    finished_at: datetime | None


class Replay(Model):
    key: str
    viewer_url: str
    job: str
    state: str
    error: str | None
    created_at: datetime


class Attempt(Model):
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: str | None
    log: str | None


class Job(Model):
    id: str
    event: str
    feed: str
    function: str
    state: str
    queue: str
    input_key: str
    attempt_count: int
    max_attempts: int
    params: dict[str, Any]
    progress: float
    error: str | None
    outputs: dict[str, Any]
    cost: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    attempts: tuple[Attempt, ...] | None = None
    """None in lists."""


class Function(Model):
    """What the cold path of this installation can do."""

    name: str
    trigger: str
    doc: str
    queue: str
    max_attempts: int
    timeout_s: int
    memory_mb: int
    per_project: int | None
    seen_at: datetime


class Key(Model):
    """An API key, without its secret."""

    id: str
    name: str
    project: str
    scopes: tuple[str, ...]
    organisation_wide: bool
    installation_wide: bool
    made_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    previous_until: datetime | None


class NewKey(Key):
    """A key with its secret, which is shown this once."""

    secret: str


class SigningKey(Model):
    """An Ed25519 key of viewer tokens; its private half stays with the server."""

    id: str
    """`kid` of the tokens that it signs."""
    public: str
    signs: bool
    signs_from: datetime
    created_at: datetime


class SigningKeys(Model):
    items: tuple[SigningKey, ...]


class Secret(Model):
    """A secret of the project, which itself stays with the server."""

    kid: str
    signs: bool
    open_events: int
    """Events that are not over whose stream key comes from it."""
    created_at: datetime


class Secrets(Model):
    items: tuple[Secret, ...]


class Project(Model):
    id: str
    name: str
    organisation: str
    created_at: datetime


class Organisation(Model):
    id: str
    name: str
    created_at: datetime


class NewOrganisation(Organisation):
    """An organisation with its first project, and a key to all of it."""

    project: Project
    key: NewKey


class AuditEntry(Model):
    id: str
    at: datetime
    key: str | None
    ip: str
    operation: str
    event: str | None
    objects: dict[str, str]
    outcome: str
    status: int
    request_id: str


class Webhook(Model):
    """An endpoint, without its secret."""

    id: str
    url: str
    types: tuple[str, ...]
    description: str
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    old_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


class NewWebhook(Webhook):
    """An endpoint with its secret, which is shown this once."""

    secret: str


class DeliveryAttempt(Model):
    number: int
    at: datetime
    duration_ms: int
    status: int | None
    error: str | None
    excerpt: str


class Delivery(Model):
    id: str
    message: str
    type: str
    event: str | None
    state: str
    attempt_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None
    attempts: tuple[DeliveryAttempt, ...]
    data: dict[str, Any] | None = None
    """None in lists."""


class Redelivery(Model):
    deliveries: int
    next_since: datetime | None


class Nothing(Model):
    """The answer says no more than that it is done."""


class Message(Model):
    """A public event, as webhooks and the stream carry it."""

    type: str
    id: str = ""
    """Empty of a `stream.gap`, which says that earlier messages are no longer kept."""
    timestamp: datetime | None = None
    project: str | None = None
    event: str | None = None
    data: dict[str, Any] = {}
    sequence: str | None = None
    """Its place in the stream, for `last_event_id`; None in webhooks."""


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
