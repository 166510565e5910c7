"""Which functions run by themselves for an event, as its organiser chose.

Upstream: `cold_functions` of events. Downstream: `coldpath.plan`.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.db.control import Event
from infra.keys import parse

_IN_CHUNK = 500


def chosen(engine: Engine, keys: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """By event of these objects; events that want all functions are not in it."""
    events = sorted({key.program.event for name in keys if (key := parse(name)) is not None})
    found: dict[str, frozenset[str]] = {}
    with Session(engine) as session:
        for start in range(0, len(events), _IN_CHUNK):
            query = select(Event.id, Event.cold_functions).where(
                Event.id.in_(events[start : start + _IN_CHUNK]), Event.cold_functions.is_not(None)
            )
            for event, names in session.execute(query):
                found[event] = frozenset(names or ())
    return found
