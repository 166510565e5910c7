"""The functions that this installation has, in the database, for those who cannot import them.

Upstream: the dispatcher, when it starts. Downstream: the functions table, which the control API and
`livepath jobs functions` read.
"""

from collections.abc import Collection
from dataclasses import asdict
from inspect import getdoc
from typing import Any

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from coldpath.binding import BoundFunction, KeyType, Registry, Requested, Terms
from coldpath.clock import Clock, database_now_ms
from infra.db.jobs import BROKEN, Function
from infra.keys import InitKey, ManifestKey, SegmentKey, VodKey, WorkKey

_MAX_NAME, _MAX_DOC = 64, 500
_TRIGGERS: dict[KeyType, str] = {
    SegmentKey: "segment",
    InitKey: "init",
    ManifestKey: "manifest",
    VodKey: "vod",
    WorkKey: "work",
    Requested: "request",
}


def publish(engine: Engine, registry: Registry[Any], *, clock: Clock = database_now_ms) -> None:
    """Writes every function's terms, and which packages are broken. A function that is gone keeps
    its row, with the time it was seen; a package that is mended or gone does not."""
    names = {bound.name for bound in registry}
    broken = {_apart(name, names): why for name, why in registry.broken.items()}
    with Session(engine) as session, session.begin():
        now = clock(session)
        session.execute(delete(Function).where(Function.trigger == BROKEN))
        for bound in registry:
            session.merge(_row(bound, now))
        for name, why in broken.items():
            session.merge(_broken_row(name, why, now))


def _apart(entry: str, names: Collection[str]) -> str:
    """How a package is listed: by its entry point, whose name may be a function's."""
    return (f"{entry} (package)" if entry in names else entry)[:_MAX_NAME]


def _broken_row(name: str, why: str, now: int) -> Function:
    doc = why.partition("\n")[0][:_MAX_DOC]
    return Function(name=name, trigger=BROKEN, doc=doc, terms=asdict(Terms()), seen_ms=now)


def _row(bound: BoundFunction[Any], now: int) -> Function:
    return Function(
        name=bound.name,
        trigger=_TRIGGERS[bound.on],
        doc=(getdoc(bound.run) or "").partition("\n")[0],
        terms=asdict(bound.terms),
        seen_ms=now,
    )
