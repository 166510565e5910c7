"""Readings: how a programme does, as its media node saw it, every few seconds.

Invariant: nobody waits for a reading. The bus keeps the last hour of a programme, and none of one
that has had no reading for `KEPT_S`; a node that cannot reach the bus leaves readings out, and
nothing makes up for them.

    STREAM  livepath:readings:{project}:{event}:{feed}   one entry `{reading: <Reading JSON>}`
    PUBLISH livepath:readings                            the same JSON

Upstream: `hotpath.node.readings`. Downstream: `infra.control.readings`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis

from infra.events.bus import bus_errors
from infra.publishers import Role

CHANNEL = "livepath:readings"
EVERY_S = 5.0
KEPT = 720
"""Readings of a programme: an hour."""
KEPT_S = 6 * 3600
MOST_BYTES = 16 * 1024


class _Part(BaseModel):
    # A node that is newer than control may say more.
    model_config = ConfigDict(frozen=True, extra="ignore")


class SourceReading(_Part):
    """One connected publisher, since the reading before."""

    role: Role
    protocol: Literal["srt", "whip"]
    on_air: bool
    """The other one stands by."""
    kbps: float
    fps: float | None = None
    """Pictures a second; None: it was not here at the reading before."""
    lost: float = 0.0
    """Share of the packets that never came in time."""
    resent: float = 0.0
    """Share of the packets that came because they were sent again."""
    damaged: int = 0
    """Pictures with missing bytes."""
    rtt_ms: float = 0.0
    latency_ms: int | None = None
    """In which a lost SRT packet may still come; None: not SRT."""
    silent: bool = False
    """It is connected and sends nothing."""


class ViewersReading(_Part):
    """Who watches by way of this node; a CDN's viewers are not among them."""

    whep: int
    hls: int
    """At the live edge of LL-HLS; players that poll are not counted."""


class StageReading(_Part):
    """Age of media when they leave a stage."""

    p50_ms: float
    p95_ms: float


class Reading(_Part):
    project: str
    event: str
    feed: str
    node: str
    at_ms: int
    """Unix ms on the node."""
    state: str
    """Of the programme: live, waiting, …"""
    sources: tuple[SourceReading, ...] = ()
    viewers: ViewersReading
    stages: Mapping[str, StageReading] = {}
    """By stage of `infra.telemetry.stages`, over all programmes of the node."""


def parse(raw: str | bytes) -> Reading | None:
    """None: the message holds no reading that can be read."""
    if len(raw) > MOST_BYTES:
        return None
    try:
        return Reading.model_validate_json(raw)
    except ValidationError:
        return None


async def tell(client: Redis, readings: Sequence[Reading]) -> None:
    """Keep them, and tell everybody who listens. Raises `BusUnavailable`; then they are lost."""
    if not readings:
        return
    async with bus_errors(), client.pipeline(transaction=False) as pipe:
        for one in readings:
            raw, key = one.model_dump_json(), _key(one.project, one.event, one.feed)
            body: dict[Any, Any] = {"reading": raw}
            pipe.xadd(key, body, maxlen=KEPT, approximate=True)
            pipe.expire(key, KEPT_S)
            pipe.publish(CHANNEL, raw)
        await pipe.execute()


async def kept(
    client: Redis, project: str, event: str, feed: str, since_ms: int = 0
) -> list[Reading]:
    """The readings of a programme that the bus has had since then, oldest first. Raises
    `BusUnavailable`."""
    async with bus_errors():
        entries: Any = await client.xrevrange(
            _key(project, event, feed), "+", str(max(since_ms, 0)), count=KEPT
        )
    found = [parse(values.get("reading", "")) for _, values in reversed(entries)]
    return [one for one in found if one is not None]


async def newest(
    client: Redis, project: str, events: Sequence[str], feed: str
) -> dict[str, Reading]:
    """Event -> its last reading, where one is kept. Raises `BusUnavailable`."""
    if not events:
        return {}
    async with bus_errors(), client.pipeline(transaction=False) as pipe:
        for event in events:
            pipe.xrevrange(_key(project, event, feed), count=1)
        answers = await pipe.execute()
    found = {}
    for event, entries in zip(events, answers, strict=True):
        one = parse(entries[0][1].get("reading", "")) if entries else None
        if one is not None:
            found[event] = one
    return found


def _key(project: str, event: str, feed: str) -> str:
    return f"{CHANNEL}:{project}:{event}:{feed}"
