"""The public events that exist, and the patterns that choose among them. Pure.

Types and the fields of their data are a promise to clients: they are added to, never renamed.
"""

import re
from collections.abc import Iterable
from enum import StrEnum


class NoticeType(StrEnum):
    """What happened; `TOLD` says it in words."""

    EVENT_CREATED = "event.created"
    EVENT_UPDATED = "event.updated"
    EVENT_KEY_ROTATED = "event.key_rotated"
    EVENT_SCHEDULED = "event.scheduled"
    EVENT_LOBBY = "event.lobby"
    EVENT_LIVE = "event.live"
    EVENT_RECONNECTING = "event.reconnecting"
    EVENT_ENDED = "event.ended"
    EVENT_ARCHIVED = "event.archived"
    EVENT_CANCELLED = "event.cancelled"
    MARKER_CREATED = "marker.created"
    MARKER_ENDED = "marker.ended"
    INGEST_CONNECTED = "ingest.connected"
    INGEST_LOST = "ingest.lost"
    INGEST_REFUSED = "ingest.refused"
    INGEST_SWITCHED = "ingest.switched"
    INGEST_STANDBY_LOST = "ingest.standby_lost"
    INGEST_WARNING = "ingest.warning"
    RECORDING_DEGRADED = "recording.degraded"
    RECORDING_RESTORED = "recording.restored"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_DEAD = "job.dead"
    ASSET_READY = "asset.ready"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"


_T = NoticeType
TOLD: dict[NoticeType, str] = {
    _T.EVENT_CREATED: "An event was created.",
    _T.EVENT_UPDATED: "Fields of an event were changed; `changed` names them.",
    _T.EVENT_KEY_ROTATED: "The event has a new stream key; the old one is refused.",
    _T.EVENT_SCHEDULED: "A draft was scheduled, or the start was moved away from an open lobby.",
    _T.EVENT_LOBBY: "The event's lobby is open.",
    _T.EVENT_LIVE: "The first picture was published, or the publisher is back.",
    _T.EVENT_RECONNECTING: "The publisher was lost; its reconnect window runs.",
    _T.EVENT_ENDED: "The event is over.",
    _T.EVENT_ARCHIVED: "The recording can be watched.",
    _T.EVENT_CANCELLED: "The event was cancelled before anything was published.",
    _T.MARKER_CREATED: "A marker was put on the event's timeline; it may begin later.",
    _T.MARKER_ENDED: "The end of a marker that was open is known.",
    _T.INGEST_CONNECTED: "An encoder connected.",
    _T.INGEST_LOST: "The encoder on the air was lost, and none stood by.",
    _T.INGEST_REFUSED: "An encoder was refused; `reason` says why.",
    _T.INGEST_SWITCHED: "The standby encoder is on the air.",
    _T.INGEST_STANDBY_LOST: "The programme goes on, but no encoder would step in.",
    _T.INGEST_WARNING: "Something is wrong with what the encoder sends; `message` says what.",
    _T.RECORDING_DEGRADED: "Segments cannot be stored; the programme goes on.",
    _T.RECORDING_RESTORED: "Segments are stored again.",
    _T.JOB_SUCCEEDED: "A job is done; not told of work on single segments of a live event.",
    _T.JOB_DEAD: "A job gave up; somebody should look at it.",
    _T.ASSET_READY: "A recording, picture, clip or text can be fetched.",
    _T.WEBHOOK_DISABLED: "A webhook was disabled because its endpoint failed for long.",
    _T.WEBHOOK_TEST: "You asked for a test; it goes to that webhook alone.",
}
EVERYTHING = "*"
MAX_PATTERN = 64
_PATTERN = re.compile(r"[a-z_]+(\.[a-z_]+)*(\.\*)?", re.ASCII)


def chosen(patterns: Iterable[str]) -> frozenset[NoticeType]:
    """The types that any of the patterns names: one type, `group.*`, or `*`."""
    return frozenset(kind for pattern in patterns for kind in NoticeType if names(pattern, kind))


def names(pattern: str, kind: NoticeType) -> bool:
    if pattern == EVERYTHING:
        return True
    if pattern.endswith(".*"):
        return kind.startswith(pattern[:-1])
    return kind == pattern


def is_pattern(text: str) -> bool:
    """Whether it names at least one type of today."""
    well_formed = text == EVERYTHING or _PATTERN.fullmatch(text) is not None
    return len(text) <= MAX_PATTERN and well_formed and bool(chosen([text]))
