"""What a client asks of the clip functions: the parameters of their jobs.

Upstream: the control API, or `POST /v1/events/{event}/jobs`. Downstream:
`coldpath.functions.clips`.
"""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

INSTANT, EXACT = "clip-instant", "clip-exact"
"""Functions."""
MAX_CLIP_MS = 3_600_000
_MAX_MS = 253_402_300_800_000  # the year 10000


class ClipClock(StrEnum):
    WALL = "wall"
    """Unix milliseconds, on the clock of the media nodes."""
    RECORDING = "recording"
    """Milliseconds as a player of the recording counts them, gaps left out."""


class ClipRequest(BaseModel):
    """From `start_ms` to before `end_ms`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clock: ClipClock = ClipClock.WALL
    start_ms: int = Field(ge=0, lt=_MAX_MS)
    end_ms: int = Field(ge=0, lt=_MAX_MS)
    title: str | None = Field(None, max_length=120)
    epoch_ns: int | None = Field(
        None, ge=0, description="Unix ns of the programme's tick 0, as its media node told it."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.end_ms <= self.start_ms:
            raise ValueError("the clip must end after its start")
        if self.end_ms - self.start_ms > MAX_CLIP_MS:
            raise ValueError(f"a clip may be {MAX_CLIP_MS // 1000} s long; make two of it")
        return self
