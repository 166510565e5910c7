"""Numbers for public events: one rising sequence for each project, without loss for its readers.

Invariant: whoever has read number n of a project has been able to see every lower number, so "give
me what comes after n" misses nothing.

A number from a Postgres sequence, or from a counter that the writer increments without a lock, is
handed out before the commit: 8 can be visible while 7 is still in an open transaction, and a reader
that goes on from 8 never sees 7. There are three cures. A counter row that every writer locks until
its commit makes writers of a project wait for each other, and deadlocks with the locks that they
hold already (of events and jobs). Reading only below the oldest running transaction
(`pg_snapshot_xmin`) lets one forgotten transaction, even of another database of the server, stop
every stream, and there is no such thing in SQLite.

The third is taken here: writers record without a number, and committed rows are numbered
afterwards, project by project, by whoever holds the project's row in `outbox_heads`. Who numbers
sees only what is committed, and the next one gets the lock when these numbers are committed too. A
transaction that commits late gets a later number, whatever its position. The price is one UPDATE a
message and the wait for the next pass.

The caller owns the transaction.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from infra.db.outbox import OutboxHead, OutboxMessage


def owed(session: Session, limit: int) -> Sequence[str]:
    """Projects with messages that have no number yet."""
    query = select(OutboxMessage.project).where(*_UNNUMBERED).distinct().limit(limit)
    return session.scalars(query).all()


def number(session: Session, project: str, limit: int) -> Sequence[OutboxMessage]:
    """Number the project's oldest messages, at most `limit`; nobody else can before the commit."""
    _make_head(session, project)
    head = session.scalars(
        select(OutboxHead)
        .where(OutboxHead.project == project)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    # A statement of its own, after the lock: it sees what the holder before has committed.
    rows = session.scalars(
        select(OutboxMessage)
        .where(OutboxMessage.project == project, *_UNNUMBERED)
        .order_by(OutboxMessage.position)
        .limit(limit)
    ).all()
    for row in rows:
        head.sequence += 1
        row.sequence = head.sequence
    session.flush()
    return rows


_UNNUMBERED = (OutboxMessage.sequence.is_(None), OutboxMessage.target.is_(None))


def _make_head(session: Session, project: str) -> None:
    values = {"project": project, "sequence": 0}
    statement: sqlite.Insert | postgresql.Insert
    if session.get_bind().dialect.name == "sqlite":
        statement = sqlite.insert(OutboxHead).values(values).on_conflict_do_nothing()
    else:
        statement = postgresql.insert(OutboxHead).values(values).on_conflict_do_nothing()
    session.execute(statement)
