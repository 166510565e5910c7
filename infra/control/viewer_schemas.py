"""What viewers and their players get over the API."""

import ipaddress
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from infra.auth.policy import Role, Tier, Transport
from infra.control.event_fields import Latency
from infra.control.schemas import FROM_TEXT, Access, In, Out, Timestamp, printable
from infra.lifecycle import EventState
from infra.renditions import RUNGS

MAX_TTL_S = 7 * 86400
"""The longest life of a viewer token."""


def _rung(name: str) -> str:
    if name not in RUNGS:
        raise ValueError(f"{name[:40]!r} is none of {', '.join(RUNGS)}")
    return name


def _address(text: str) -> str:
    # With a zone it is good on one machine only.
    if "%" in text:
        raise ValueError("an address with a zone means nothing elsewhere")
    return str(ipaddress.ip_address(text))


Subject = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(printable)]
"""The client's id of a viewer."""
Cap = Annotated[str, AfterValidator(_rung), WithJsonSchema({"type": "string", "enum": list(RUNGS)})]
"""The tallest rendition that a viewer may have."""
Address = Annotated[
    str,
    StringConstraints(max_length=45),
    AfterValidator(_address),
    WithJsonSchema(
        {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "maxLength": 45}
    ),
]


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
    subject: Subject | None = Field(
        None, description="Your id of the viewer; random when left out."
    )
    role: Annotated[Role, FROM_TEXT] = Field(
        Role.VIEWER, description="Who this is in the event: docs/access.md says what each may do."
    )
    tier: Annotated[Tier, FROM_TEXT] | None = Field(
        None, description="How they watch; left out: as the role does."
    )
    max_rendition: Cap | None = Field(
        None, description="Nothing taller is shown, if the event has anything that is lower."
    )
    ip: Address | None = Field(
        None, description="The token is good from this address, or network, alone."
    )
    ip_binding: Literal["network", "address"] = Field(
        "network",
        description="`network`: the IPv4 /24 or IPv6 /64 of `ip`, for addresses that change; "
        "`address`: `ip` itself.",
    )


class TokenOut(Out):
    id: str = Field(
        description="By which it can be called back.", examples=["tk_2kq5mzx7c3v4b6n7a8sd"]
    )
    token: str
    expires_at: Timestamp
    role: Role
    tier: Tier
    transports: list[Transport] = Field(
        description="How it may be watched, the better one first, while the tier stays as it is."
    )
    hls_url: str = Field(description="The token is a path prefix and covers every child URL.")
    whep_url: str = Field(
        description="WebRTC (WHEP); the token is a path prefix.",
        examples=["https://media.example/t/TOKEN/live/default/ev_2kq5mzx7c3v4b6n7a8sd/main/whep"],
    )
    player_url: str = Field(description="The token is the fragment, so no server logs it.")
    vod_url: str = Field(description="Page with the recording; the token is the fragment.")


class AccessOut(Out):
    """What is due to a viewer, by its token and what was changed since it was issued."""

    role: Role | None = Field(description="null: the event needs no token.")
    transports: list[Transport] = Field(description="How it may be watched, the better one first.")
    max_rendition: str | None = Field(description="Nothing taller is shown; null: no cap.")
    expires_at: Timestamp | None = Field(description="When the token does; null: there is none.")
