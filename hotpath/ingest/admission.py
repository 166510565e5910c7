"""Who may publish: the admission table made from desired state, and the words for a refusal.

Pure. Upstream: the desired state that control writes (`infra.events.desired`). Downstream:
`hotpath.ingest.srt` copies the table into C, where the decision falls. Keys and passphrases are
derived here, once per change of the table, so that a connect costs no hashing.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from hotpath.ingest.streamid import parse
from infra.auth.streamkeys import srt_passphrase, stream_key
from infra.events.desired import DesiredEvent, DesiredProject


class Reason(Enum):
    """Verdicts of srt_admission.c, in order; the values are those of `publisher.refused` facts."""

    ADMITTED = "admitted"
    BAD_STREAMID = "bad-streamid"
    UNKNOWN_EVENT = "unknown-event"
    BAD_KEY = "bad-key"
    ROTATED_KEY = "rotated-key"
    EVENT_CLOSED = "event-closed"
    BUSY = "busy"
    OVER_LIMIT = "over-limit"
    BAD_PASSPHRASE = "bad-passphrase"  # noqa: S105 - a word, no secret


REASONS = tuple(Reason)


@dataclass(frozen=True, slots=True)
class AdmissionEntry:
    project: str
    event: str
    feed: str
    key: str = field(repr=False)
    generation: int
    kid: str
    passphrase: str = field(repr=False)
    open: bool
    takeover: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """One connect that was turned away; becomes an audit line."""

    event: str
    """Empty where the streamid names none."""
    project: str
    """Empty where the event is not known."""
    peer: str
    reason: str
    at_ns: int


def admission_table(
    projects: Mapping[str, DesiredProject] | Iterable[DesiredProject],
    events: Mapping[str, DesiredEvent] | Iterable[DesiredEvent],
) -> list[AdmissionEntry]:
    """One entry per event whose project and secret are known here; the others are unknown."""
    project_list = projects.values() if isinstance(projects, Mapping) else projects
    event_list = events.values() if isinstance(events, Mapping) else events
    secrets = {
        (p.id, kid): secret
        for p in project_list
        for kid, encoded in p.secrets.items()
        if (secret := _decoded(encoded))
    }
    table = []
    for event in event_list:
        known = secrets.get((event.project, event.kid))
        if known is None:
            continue
        key = stream_key(known, event.id, event.kid, event.generation)
        if parse(f"{event.id}/{key}".encode()) is None:
            continue  # no streamid could name it, and C has no room for it
        table.append(
            AdmissionEntry(
                project=event.project,
                event=event.id,
                feed=event.feed,
                key=key,
                generation=event.generation,
                kid=event.kid,
                passphrase=srt_passphrase(known, event.id, event.kid, event.generation),
                open=event.open,
                takeover=event.takeover,
            )
        )
    return table


def still_admitted(before: AdmissionEntry, now: AdmissionEntry | None) -> Reason:
    """Whether a publisher let in by `before` may stay under the present entry of its event."""
    if now is None:
        return Reason.UNKNOWN_EVENT
    if not now.open:
        return Reason.EVENT_CLOSED
    if now.key != before.key:
        return Reason.ROTATED_KEY
    return Reason.ADMITTED


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return b""
