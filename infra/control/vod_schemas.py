"""What a player of a recording gets over the API."""

from typing import Literal

from pydantic import Field

from infra.control.marker_schemas import MarkerOut
from infra.control.schemas import Access, Out
from infra.lifecycle import EventState

VodStatus = Literal["not-begun", "live", "making", "ready", "failed", "none"]


class DownloadOut(Out):
    """A file to keep."""

    url: str
    name: str = Field(examples=["archive.mp4"])
    rendition: str | None = Field(description="null: the source.", examples=["720p"])
    bytes: int
    duration_ms: int | None


class VodOut(Out):
    """A recording, as far as it is there. URLs carry the token that the request was sent with."""

    id: str
    name: str
    state: EventState
    access: Access
    status: VodStatus = Field(
        description="`ready`: it can be played. `making`: soon. `failed`: the job that makes it "
        "gave up; the organiser sees why. `none`: the organiser wants none."
    )
    duration_ms: int | None
    hls_url: str | None = Field(
        description="Multivariant playlist, with captions where there are any."
    )
    captions: list[str] = Field(description="Languages of the captions.", examples=[["en"]])
    poster_url: str | None
    preview_url: str | None = Field(description="A moving picture of the whole.")
    storyboard_url: str | None = Field(description="WebVTT that names small pictures.")
    transcript_url: str | None
    replay_url: str | None = Field(description="What happened, as `PUT …/replay` stored it.")
    downloads: list[DownloadOut]
    markers: list[MarkerOut] = Field(description="By their start.")
    may_clip: bool = Field(description="The token allows `POST …/clips`.")
