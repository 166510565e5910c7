"""Ingest as it travels over the API: where encoders connect, and what became of it."""

from datetime import datetime
from typing import Any

from pydantic import Field

from infra.control.schemas import In, Out, Timestamp
from infra.lifecycle import EventState
from infra.publishers import Role


class SrtOut(Out):
    """SRT ingest, always encrypted."""

    url: str = Field(
        description="Paste it into ffmpeg between double quotes. `latency` is in microseconds, as "
        "ffmpeg counts.",
        examples=[
            "srt://media.example:8082?streamid=ev_2k…/k1.1.5x…&passphrase=…&latency=120000"
            "&mode=caller&pkt_size=1316"
        ],
    )
    backup_url: str = Field(
        description="For a second encoder, which goes on the air when the first one fails.",
        examples=["srt://media.example:8082?streamid=ev_2k…/k1.1.5x…/backup&passphrase=…&…"],
    )
    stream_id: str = Field(description="For encoders with a field of its own: `EVENT/KEY`.")
    backup_stream_id: str = Field(description="The same for the second: `EVENT/KEY/backup`.")
    passphrase: str = Field(description="SRT encryption passphrase; it never travels.")
    latency_ms: int


class WhipOut(Out):
    """WHIP ingest (RFC 9725), for browsers, OBS and everything else that speaks WebRTC."""

    url: str = Field(
        description="Endpoint that takes the SDP offer.",
        examples=["https://media.example/whip/ev_2kq5mzx7c3v4b6n7a8sd"],
    )
    backup_url: str = Field(
        description="For a second publisher, which goes on the air when the first one fails; it "
        "takes the same token.",
        examples=["https://media.example/whip/ev_2kq5mzx7c3v4b6n7a8sd?role=backup"],
    )
    token: str = Field(
        description="Bearer token; `rotate-key` replaces it.", examples=["k1.1.mzxw6ytboi…"]
    )
    publish_url: str = Field(
        description="Page that publishes a camera or a screen. The token is the fragment, so no "
        "server logs it; whoever has this link can publish.",
        examples=["https://live.example/publish/ev_2kq5mzx7c3v4b6n7a8sd#k1.1.mzxw6ytboi…"],
    )


class Notice(Out):
    """Something a media node reported about a publisher of this event."""

    at: Timestamp
    type: str = Field(examples=["publisher.refused"])
    message: str = Field(examples=["wrong passphrase"])
    detail: dict[str, Any]


class PlaceOut(Out):
    """The place of one publisher; SRT and WHIP share it."""

    connected: bool


class IngestOut(Out):
    primary: PlaceOut
    backup: PlaceOut
    active: Role | None = Field(
        description="Whose media goes on the air. The other one stands by, and goes on when this "
        "one is lost or has been silent for a second. null: nobody publishes, "
        "or the start is waited for.",
    )
    srt: SrtOut | None = Field(
        description="null of a draft, once the event is over, and for keys that lack both "
        "`ingest:read` and `events:write`."
    )
    whip: WhipOut | None = Field(description="As `srt`.")
    recent: list[Notice] = Field(
        default_factory=list,
        description="Latest connections, refusals and warnings, newest first; only for one event.",
    )


class PublishOut(Out):
    """What a publisher may know with the event's WHIP token alone."""

    id: str
    name: str
    state: EventState
    starts_at: datetime | None = Field(description="When it is announced to start.")
    whip_url: str = Field(description="Endpoint that takes the SDP offer.")
    recent: list[Notice] = Field(
        description="Latest connections, refusals and warnings, newest first."
    )


class KeyRotation(In):
    """How the stream key is replaced."""

    disconnect: bool = Field(
        True,
        description="`false`: encoders that are connected stay until they leave, so that viewers "
        "see no cut, also where the new key comes from another secret, until the secret of theirs "
        "is retired; whoever connects needs the new key. A later `true` ends them.",
    )
