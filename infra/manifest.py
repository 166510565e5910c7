"""The session manifest: what one incarnation of a programme recorded.

Written by the media node's spool when an incarnation is sealed, uploaded after every segment it
lists, read by cold-path functions. All times are integers: ticks of the rendition's `timescale`
counted from the programme's epoch, or nanoseconds of Unix time where the name ends in `_ns`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SegmentEntry(_Frozen):
    """One finished CMAF segment (`moof`+`mdat` pairs, one per part)."""

    msn: int = Field(ge=0)
    init: int = Field(ge=0, description="Number of the init section it plays with.")
    start: int = Field(
        description="First decode time, ticks from the epoch; equals the first tfdt."
    )
    duration: int = Field(gt=0, description="Ticks.")
    bytes: int = Field(gt=0)
    samples: int = Field(gt=0, description="Access units in the segment.")
    discontinuity_seq: int = Field(ge=0)
    independent: bool = Field(description="Starts with a keyframe.")
    pdt_ns: int = Field(description="Wall clock of the first unit, Unix ns.")


class Hole(_Frozen):
    """Segments that were played live but not recorded, ends included."""

    first_msn: int = Field(ge=0)
    last_msn: int = Field(ge=0)
    reason: Literal["spool-full", "disk-error", "reader-behind"]


class RenditionEntry(_Frozen):
    """One elementary rendition with everything recorded of it, in `msn` order."""

    name: str
    kind: Literal["video", "audio"]
    codecs: tuple[str, ...] = Field(description="RFC 6381 strings, one per init section.")
    timescale: int = Field(gt=0, description="Ticks per second.")
    inits: int = Field(ge=0, description="Init sections 0..inits-1 exist.")
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    language: str = Field("", description="RFC 5646, at the end; empty when not known.")
    describes_video: bool = Field(False, description="The sound tells what the picture shows.")
    segments: tuple[SegmentEntry, ...] = ()
    holes: tuple[Hole, ...] = ()


class SessionManifest(_Frozen):
    """Identity, renditions and the chain of earlier incarnations of the same programme."""

    version: Literal[1] = 1
    project: str
    event: str
    feed: str
    incarnation: str
    previous: tuple[str, ...] = Field((), description="Earlier incarnations, oldest first.")
    final: bool = Field(description="The programme is over; no later incarnation will follow.")
    started_ns: int
    ended_ns: int
    target_duration_s: int
    renditions: tuple[RenditionEntry, ...]
    traceparent: str | None = None
