"""Who may publish: the admission table made from desired state, and the words for a refusal.

Pure. Upstream: the desired state that control writes (`infra.events.desired`). Downstream:
`hotpath.ingest.srt` copies the table into C, where the decision falls; for WHIP it falls in
`decide`. Keys, tokens and passphrases are derived here, once per change of the table, so that a
connect costs no hashing.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from hotpath.ingest.streamid import parse
from infra.auth.streamkeys import srt_passphrase, stream_key, whip_token
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
    whip_token: str = field(repr=False)
    open: bool
    takeover: bool
    target_duration_s: int = 2
    """Of the event's segments, which begin with keyframes."""
    stays: int | None = None
    """Connected publishers of this generation, or a later one, stay until they leave, or the secret
    of their key is retired. Generations rise from secret to secret as well."""
    kids: frozenset[str] = frozenset()
    """Names of the project's secrets."""


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
    kids: dict[str, set[str]] = {}
    for project, kid in secrets:
        kids.setdefault(project, set()).add(kid)
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
                whip_token=whip_token(known, event.id, event.kid, event.generation),
                open=event.open,
                takeover=event.takeover,
                target_duration_s=event.target_duration_s,
                stays=event.staying_generation,
                kids=frozenset(kids[event.project]),
            )
        )
    return table


_NOBODYS_TOKEN = "k0.0." + 32 * "a"
"""Compared with where the event is unknown, so that the answer takes as long."""


def decide(
    table: Mapping[str, AdmissionEntry], event: str, token: str | None, *, busy: bool
) -> AdmissionEntry | Reason:
    """Whether the bearer of a WHIP token may publish; `busy`: somebody else is publishing.

    The reason is for the audit line: an endpoint answers an unknown event as it answers a bad key.
    """
    entry = table.get(event)
    presented = (token or "").encode()
    valid = entry.whip_token if entry else _NOBODYS_TOKEN
    if not hmac.compare_digest(presented, valid.encode()) or entry is None:
        if entry is None:
            return Reason.UNKNOWN_EVENT
        return Reason.ROTATED_KEY if _other_generation(presented, valid) else Reason.BAD_KEY
    if not entry.open:
        return Reason.EVENT_CLOSED
    if busy and not entry.takeover:
        return Reason.BUSY
    return entry


def _other_generation(presented: bytes, valid: str) -> bool:
    """A token of the same kid and another generation: of before a rotation, if it is genuine."""
    shown, known = presented.split(b"."), valid.encode().split(b".")
    return (
        len(shown) == len(known) == 3
        and shown[0] == known[0]
        and shown[1].isdigit()
        and shown[1] != known[1]
        and bool(shown[2])
    )


def still_admitted(before: AdmissionEntry, now: AdmissionEntry | None) -> Reason:
    """Whether a publisher let in by `before` may stay under the present entry of its event."""
    if now is None:
        return Reason.UNKNOWN_EVENT
    if not now.open:
        return Reason.EVENT_CLOSED
    stays = before.kid in now.kids and now.stays is not None and before.generation >= now.stays
    if now.key != before.key and not stays:
        return Reason.ROTATED_KEY
    return Reason.ADMITTED


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return b""
