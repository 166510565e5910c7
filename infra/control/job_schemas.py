"""Jobs, and what they make of a recording, as they travel over the API."""

from typing import Any

from pydantic import Field

from infra.control.schemas import Out, Timestamp


class AssetOut(Out):
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


class AssetPage(Out):
    items: list[AssetOut]
    next: str | None


class AttemptOut(Out):
    """One lease of a job by a worker."""

    number: int
    worker: str
    started_at: Timestamp
    ended_at: Timestamp | None
    outcome: str | None = Field(description="null while it runs.")
    error: str | None


class JobOut(Out):
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


class JobPage(Out):
    items: list[JobOut]
    next: str | None
