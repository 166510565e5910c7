"""What of a programme's life becomes a fact, and in which words. Pure.

Upstream: `hotpath.node.programs`, with what programme and switcher said. Downstream: the journal.
"""

from typing import Any

from hotpath.node.onair import OnAir, Presence
from hotpath.program.states import IngestWarning, PublisherLost, WentLive
from hotpath.program.switches import StandbyLost, Switched, SwitcherEvent
from infra.events.facts import FactType

Note = tuple[FactType, dict[str, Any]]


def note_of(entry: OnAir, happened: SwitcherEvent) -> Note | None:
    """The fact that this is, if it is one by itself."""
    match happened:
        case WentLive(publisher=publisher):
            return FactType.PROGRAM_LIVE, {"publisher": publisher, **_life(entry)}
        case PublisherLost(publisher=publisher, reason=reason):
            return FactType.PUBLISHER_LOST, {"publisher": publisher, "reason": reason}
        case Switched(publisher=publisher, role=role, instead_of=instead_of, reason=reason):
            roles = {"from": instead_of.value, "to": role.value}
            return FactType.PUBLISHER_SWITCHED, {"publisher": publisher, **roles, "reason": reason}
        case StandbyLost(publisher=publisher, role=role, reason=reason):
            detail = {"publisher": publisher, "place": role.value, "reason": reason}
            return FactType.STANDBY_LOST, detail
        case IngestWarning(code=code, message=message):
            return FactType.INGEST_WARNING, {"code": code, "message": message}
        case _:
            return None


def _life(entry: OnAir) -> dict[str, Any]:
    """Which life of the programme this is, and where its timeline begins on the wall clock."""
    live = entry.incarnation
    if live is None:
        return {"incarnation": ""}
    return {"incarnation": live.name, "epoch_ns": live.checkpoint.epoch_ns}


def note_of_presence(presence: Presence) -> Note:
    detail = {
        "primary": presence.primary,
        "backup": presence.backup,
        "active": presence.active.value if presence.active else None,
    }
    return FactType.PUBLISHERS_PRESENT, detail
