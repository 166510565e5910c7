"""What viewers and their players get over the API."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from infra.control.event_fields import Latency
from infra.control.schemas import Access, In, Out, Timestamp, printable
from infra.lifecycle import EventState

MAX_TTL_S = 7 * 86400
"""The longest life of a viewer token."""


class PlaybackLinks(Out):
    hls_url: str = Field(
        description="LL-HLS multivariant playlist. `access: token`: use the URL "
        "that comes with a viewer token."
    )
    whep_url: str = Field(
        description="WebRTC (WHEP), for the lowest delay. `access: token`: send a viewer token as "
        "bearer token, or use the URL that comes with it.",
        examples=["https://media.example/live/default/ev_2kq5mzx7c3v4b6n7a8sd/main/whep"],
    )
    player_url: str = Field(description="Page with a player.")
    vod_url: str = Field(description="Page with the recording, when the event is over.")


class PlaybackOut(Out):
    """What a player needs before it knows a token."""

    id: str
    name: str
    state: EventState
    access: Access
    starts_at: datetime | None = Field(description="When it is announced to start.")
    ends_at: datetime | None = Field(description="When it is announced to end.")
    time_zone: str | None = Field(description="In which the organiser says times.")
    starts_at_local: str | None = Field(description="`starts_at` in `time_zone`, with its offset.")
    started_at: datetime | None = Field(description="When it went live; null: it never did.")
    latency: Latency = Field(
        description="What to aim for: `realtime` is WebRTC first, `low` is LL-HLS alone."
    )
    dvr_window_s: int = Field(description="How far back viewers can go while it is live; 0: not.")
    hls_url: str = Field(description="LL-HLS multivariant playlist.")
    hls_captions_url: str | None = Field(
        description="The same with captions, which are some 15 s late: for who watches later than "
        "that or goes back. null: there are none."
    )
    whep_url: str = Field(
        description="WebRTC (WHEP), for the lowest delay; LL-HLS is for those who cannot connect.",
        examples=["https://media.example/live/default/ev_2kq5mzx7c3v4b6n7a8sd/main/whep"],
    )
    vod_url: str = Field(description="Page with the recording, when the event is over.")
    recorded: bool = Field(description="There will be a recording, or there is one.")


class TokenCreate(In):
    """A viewer token."""

    ttl_s: int = Field(4 * 3600, ge=10, le=MAX_TTL_S, description="Seconds until it expires.")
    clips: bool = Field(
        False, description="Whoever has it may also make clips of the event, on the VOD page."
    )
    subject: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=128),
            AfterValidator(printable),
        ]
        | None
    ) = Field(None, description="Your id of the viewer; random when left out.")


class TokenOut(Out):
    id: str = Field(
        description="By which it can be called back.", examples=["tk_2kq5mzx7c3v4b6n7a8sd"]
    )
    token: str
    expires_at: Timestamp
    hls_url: str = Field(description="The token is a path prefix and covers every child URL.")
    whep_url: str = Field(
        description="WebRTC (WHEP); the token is a path prefix.",
        examples=["https://media.example/t/TOKEN/live/default/ev_2kq5mzx7c3v4b6n7a8sd/main/whep"],
    )
    player_url: str = Field(description="The token is the fragment, so no server logs it.")
    vod_url: str = Field(description="Page with the recording; the token is the fragment.")
