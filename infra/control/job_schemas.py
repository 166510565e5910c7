"""Jobs, and what they make of a recording, as they travel over the API."""

import json
from typing import Any

from pydantic import Field, field_validator

from infra.control.schemas import In, Out, Timestamp
from infra.keys import NAME

MAX_PARAMS = 8_192
ASKED_BEFORE = "It was asked for before: as it is by now."
"""What 200 means where a new one is 201."""


class AssetOut(Out):
    """Something made from the recording."""

    id: str
    kind: str = Field(
        examples=[
            *("mp4", "vod", "poster-live", "poster", "preview", "storyboard", "clip", "replay"),
            *("captions", "transcript", "words"),
        ]
    )
    key: str = Field(description="Object key in the bucket.")
    url: str = Field(description="Presigned download URL; ask again when it has expired.")
    url_expires_at: Timestamp
    viewer_url: str | None = Field(
        description="For those who may watch the event, and what a playlist names with it; with "
        "`access: token` put `/t/{token}` before its path. null: it is not for viewers."
    )
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
    log: str | None = Field(description="The last lines that it logged; null while it runs.")


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
    params: dict[str, Any] = Field(description="What was asked for; empty when an object did.")
    progress: float = Field(ge=0, le=1, description="Share of the work that is done.")
    error: str | None
    outputs: dict[str, Any]
    cost: dict[str, Any]
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None = Field(
        description="When its first attempt began; of a job that was retried, the first one since."
    )
    finished_at: Timestamp | None
    next_attempt_at: Timestamp | None


class JobDetail(JobOut):
    attempts: list[AttemptOut]


class JobPage(Out):
    items: list[JobOut]
    next: str | None


class JobCreate(In):
    """Work on an event that a function does when it is asked."""

    function: str = Field(
        max_length=64, examples=["clip-exact"], description="One with `trigger` request."
    )
    feed: str = Field("main", pattern=f"^{NAME}$")
    params: dict[str, Any] = Field(
        {}, description="What the function needs to know; at most 8 KB of JSON."
    )

    @field_validator("params")
    @classmethod
    def _small(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(value)) > MAX_PARAMS:
            raise ValueError(f"params must be at most {MAX_PARAMS} bytes of JSON")
        return value


class FunctionOut(Out):
    """A function that this installation has."""

    name: str = Field(examples=["archive"])
    trigger: str = Field(
        examples=["manifest"],
        description=(
            "The kind of object that starts it, or `request`: it waits to be asked; or `broken`: "
            "a package whose functions are missing, and `doc` says why."
        ),
    )
    doc: str
    queue: str = Field(examples=["bulk"])
    max_attempts: int
    timeout_s: int
    memory_mb: int
    per_project: int | None = Field(description="Jobs of a project under way at once, at most.")
    seen_at: Timestamp = Field(description="When a dispatcher that has it started last.")


class FunctionList(Out):
    items: list[FunctionOut]
