"""The functions that this installation has, in the database, for those who cannot import them.

Upstream: the dispatcher, when it starts. Downstream: the functions table, which the control API and
`livepath jobs functions` read.
"""

from dataclasses import asdict
from inspect import getdoc
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from coldpath.binding import BoundFunction, KeyType, Registry, Requested
from coldpath.clock import Clock, database_now_ms
from infra.db.jobs import Function
from infra.keys import InitKey, ManifestKey, SegmentKey, VodKey, WorkKey

_TRIGGERS: dict[KeyType, str] = {
    SegmentKey: "segment",
    InitKey: "init",
    ManifestKey: "manifest",
    VodKey: "vod",
    WorkKey: "work",
    Requested: "request",
}


def publish(engine: Engine, registry: Registry[Any], *, clock: Clock = database_now_ms) -> None:
    """Writes every function's terms; one that is gone keeps its row, with the time it was seen."""
    with Session(engine) as session, session.begin():
        now = clock(session)
        for bound in registry:
            session.merge(_row(bound, now))


def _row(bound: BoundFunction[Any], now: int) -> Function:
    return Function(
        name=bound.name,
        trigger=_TRIGGERS[bound.on],
        doc=(getdoc(bound.run) or "").partition("\n")[0],
        terms=asdict(bound.terms),
        seen_ms=now,
    )
