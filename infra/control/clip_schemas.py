"""Clips as they travel over the API: a stretch of an event that becomes an asset of its own."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from infra.control.job_schemas import AssetOut
from infra.control.marker_schemas import Title, milliseconds
from infra.control.schemas import In, Moment, Out, Timestamp, at, required_at
from infra.db.jobs import Job
from infra.jobs.clip_request import EXACT, INSTANT, MAX_CLIP_MS, ClipClock

Mode = Literal["instant", "exact"]
FUNCTIONS: dict[Mode, str] = {"instant": INSTANT, "exact": EXACT}
_MODES: dict[str, Mode] = {function: mode for mode, function in FUNCTIONS.items()}

Seconds = Annotated[float, Field(strict=True, ge=0, le=7 * 86400, allow_inf_nan=False)]
Place = Annotated[Seconds | Moment, Field(union_mode="left_to_right")]
"""On the recording, or by the clock."""


class ClipCreate(In):
    """A new clip."""

    start: Place = Field(
        description="RFC 3339 with an offset, on the clock of the media nodes; of an event that is "
        "over also seconds as a player of its recording counts them.",
        examples=["2030-06-01T18:05:00Z"],
    )
    end: Place = Field(
        description=f"In the same form; at most {MAX_CLIP_MS // 60_000} minutes later.",
        examples=["2030-06-01T18:05:12.500Z"],
    )
    title: Title | None = Field(None, examples=["The first goal"])
    mode: Mode = Field(
        "instant",
        description="`instant`: a playlist over the segments that show it, there at once. `exact`: "
        "an MP4 of the very pictures.",
    )


class ClipOut(Out):
    id: str = Field(examples=["clip_2kq5mzx7c3v4b6n7a8sd"])
    job: str = Field(description="The job that makes it: `GET /v1/jobs/{job}`.")
    mode: Mode
    title: str | None
    start: Timestamp | float
    end: Timestamp | float
    state: str = Field(
        description="Of its job; the clip is there when it is `succeeded`.", examples=["succeeded"]
    )
    progress: float = Field(ge=0, le=1)
    error: str | None = Field(description="Why the last attempt failed.")
    asset: AssetOut | None = Field(description="null until the clip is there.")
    created_at: Timestamp
    finished_at: Timestamp | None


class ClipPage(Out):
    items: list[ClipOut]
    next: str | None


def clip_id(job_id: str) -> str:
    return job_id.replace("job_", "clip_", 1)


def job_of(clip: str) -> str:
    return clip.replace("clip_", "job_", 1)


def clip_out(job: Job, asset: AssetOut | None) -> ClipOut:
    clock = job.params.get("clock", ClipClock.WALL)
    return ClipOut(
        id=clip_id(job.id),
        job=job.id,
        mode=_MODES[job.function],
        title=job.params.get("title"),
        start=_place(job.params.get("start_ms", 0), clock),
        end=_place(job.params.get("end_ms", 0), clock),
        state=job.state,
        progress=min(1.0, max(0.0, job.progress / 1000)),
        error=job.error,
        asset=asset,
        created_at=required_at(job.created_ms),
        finished_at=at(job.finished_ms),
    )


def _place(ms: int, clock: str) -> datetime | float:
    return required_at(ms) if clock == ClipClock.WALL else ms / 1000


def ms_of(place: float | datetime) -> int:
    return milliseconds(place) if isinstance(place, datetime) else round(place * 1000)
