"""What of a media node's facts is told to clients. Pure.

A fact's detail is the node's own; only fields that clients were promised leave the house.
"""

from collections.abc import Mapping
from typing import Any

from infra.events.facts import FactType, MediaFact
from infra.outbox.catalogue import NoticeType

TOLD_FACTS: Mapping[FactType, NoticeType] = {
    FactType.PUBLISHER_CONNECTED: NoticeType.INGEST_CONNECTED,
    FactType.PUBLISHER_LOST: NoticeType.INGEST_LOST,
    FactType.PUBLISHER_REFUSED: NoticeType.INGEST_REFUSED,
    FactType.PUBLISHER_SWITCHED: NoticeType.INGEST_SWITCHED,
    FactType.STANDBY_LOST: NoticeType.INGEST_STANDBY_LOST,
    FactType.INGEST_WARNING: NoticeType.INGEST_WARNING,
    FactType.RECORDING_DEGRADED: NoticeType.RECORDING_DEGRADED,
    FactType.RECORDING_RESTORED: NoticeType.RECORDING_RESTORED,
}
_FIELDS = ("place", "reason", "from", "to", "code", "message", "protocol")
_MAX_TEXT = 500


def told_of(fact: MediaFact) -> Mapping[str, Any]:
    """The data of the public event."""
    said = {name: fact.detail[name] for name in _FIELDS if name in fact.detail}
    return {
        name: value[:_MAX_TEXT] if isinstance(value, str) else value
        for name, value in said.items()
        if isinstance(value, str | int | float | bool)
    }
