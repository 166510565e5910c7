"""An event: where it is pushed to and watched, by whom, and what is on its timeline."""

from datetime import datetime
from typing import Any

from infra.client.models.base import Model


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
