"""A public event as clients read it: the same JSON in webhooks and in the stream. Pure.

Invariant: a message always gives the same bytes, so a delivery that is repeated has the body that
was signed before.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """A notice with its identity."""

    id: str
    sequence: int | None
    """Its place among the messages of the project; None: it is a test, or has none yet."""
    project: str
    event: str | None
    type: str
    data: Mapping[str, Any]
    at_ms: int

    def json(self) -> str:
        moment = datetime.fromtimestamp(self.at_ms / 1000, UTC)
        return json.dumps(
            {
                "id": self.id,
                "type": self.type,
                "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "project": self.project,
                "event": self.event,
                "data": dict(self.data),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
