"""Facts: what happened on a media node. Written by media, replayed by control after an outage.

    STREAM livepath:facts            one entry `{fact: <MediaFact JSON>}`, consumer group `control`

A node writes a fact to its own disk first and sends it when the bus answers; `id` makes a repeat
harmless.
"""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

STREAM = "livepath:facts"
GROUP = "control"
STREAM_MAXLEN = 100_000


class FactType(StrEnum):
    PUBLISHER_CONNECTED = "publisher.connected"
    """detail.place: primary | backup"""
    PUBLISHER_REFUSED = "publisher.refused"
    """detail.reason: bad-key | unknown-event | rotated-key | bad-passphrase | busy | event-closed
    | bad-streamid | over-limit"""
    PROGRAM_LIVE = "program.live"
    PUBLISHER_LOST = "publisher.lost"
    """Of the one that was on the air, where no standby could go on."""
    PUBLISHER_SWITCHED = "publisher.switched"
    """The standby is on the air. detail.from and detail.to: primary | backup; detail.reason:
    silent, or why the other one was lost"""
    STANDBY_LOST = "standby.lost"
    """The programme goes on, but nobody would step in. detail.place, detail.reason"""
    PUBLISHERS_PRESENT = "publishers.present"
    """Who is connected from now on. detail.primary and detail.backup: whether it is; detail.active:
    primary | backup | null"""
    PROGRAM_ENDED = "program.ended"
    RECORDING_DEGRADED = "recording.degraded"
    RECORDING_RESTORED = "recording.restored"
    INGEST_WARNING = "ingest.warning"
    """detail.code and detail.message, in words for the creator."""


class MediaFact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(description="`{node}-{boot}-{number}`, unique.")
    type: FactType
    node: str
    at_ns: int = Field(description="Unix ns on the node.")
    project: str = ""
    event: str = ""
    feed: str = "main"
    detail: dict[str, Any] = Field(default_factory=dict)


def node_of(fact_id: str) -> str:
    """The node that a fact's id names."""
    return fact_id.rsplit("-", 2)[0]
