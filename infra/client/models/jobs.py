"""What the cold path does with an event, and what it leaves."""

from datetime import datetime
from typing import Any

from infra.client.models.base import Model


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
