"""Schema changes on a Postgres that serves requests meanwhile.

Invariant: no statement of a migration waits for a lock on a table for longer than `LOCK_S`, because
everybody who comes after it waits behind it, readers too. Who does not get the lock gives back what
it has, pauses, and goes on with the revision that failed; after `TRIES` it says so. Indexes are
built beside writers, in a statement that stands in nobody's way and so may wait for long.

Upstream: `infra.db.migrations`, whose revisions build their indexes with `build_indexes`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from alembic import op
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from infra.db.outage import sqlstate_of
from infra.errors import MigrationBlocked

_log = structlog.get_logger(__name__)

LOCK_S = 3.0
TRIES = 10
PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
"""Before the second try, doubled before each further one up to the longest."""
BUILD_LOCK_S = 600.0
"""A concurrent build waits for transactions that began before it, and holds up only other changes
of the schema."""
LOCK = 0x4C495645  # "LIVE"
_ASK_AGAIN_S = 0.2
_HELD_UP = frozenset({"55P03", "40P01"})
"""SQLSTATE of lock_not_available and deadlock_detected."""
_INVALID = text(
    "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(quote_ident(:name))"
)


@dataclass(frozen=True, slots=True)
class NewIndex:
    """An index that a revision adds."""

    name: str
    table: str
    columns: Sequence[str | TextClause]


@contextmanager
def migrating_alone(connection: Connection) -> Iterator[None]:
    """Hold the lock that makes starters migrate one after another; waits until it is free.

    Who waits asks again and again instead of waiting in a statement: a concurrent build of an index
    waits for every statement that is under way, and the two would wait for each other.
    """
    told = False
    while not _locked(connection):
        if not told:
            _log.info("another process migrates the database; waiting for it")
        told = True
        time.sleep(_ASK_AGAIN_S)
    try:
        yield
    finally:
        # A connection that broke has given it back.
        if not connection.closed and not connection.invalidated:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
            connection.commit()


def _locked(connection: Connection) -> bool:
    query = text("SELECT pg_try_advisory_lock(:key)")
    locked = connection.scalar(query, {"key": LOCK})
    # The lock is the session's, not the transaction's.
    connection.commit()
    return locked is True


def patiently(
    connection: Connection, run: Callable[[], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Run `run`, which goes on where it failed, with bounded waits for locks.

    Raises `MigrationBlocked` when the locks cannot be had in `TRIES` tries.
    """
    pause = PAUSE_S
    for attempt in range(1, TRIES + 1):
        _bound_waits(connection, LOCK_S)
        connection.commit()
        try:
            run()
        except DBAPIError as error:
            if sqlstate_of(error.orig) not in _HELD_UP:
                raise
            connection.rollback()
            if attempt == TRIES:
                raise MigrationBlocked(_words(error)) from error
            _log.warning("a migration waits for a lock", attempt=attempt, again_in_s=pause)
        else:
            return
        sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 2)


def _words(error: DBAPIError) -> str:
    statement = " ".join((error.statement or "").split())[:120]
    return (
        f"the database was not migrated: {TRIES} times others held for {LOCK_S:g} s what "
        f"{statement!r} needs. Revisions before it are applied. End the long transactions "
        "(pg_stat_activity, oldest xact_start first) and start again"
    )


def _bound_waits(connection: Connection, seconds: float) -> None:
    connection.execute(text(f"SET lock_timeout = {round(seconds * 1000)}"))


def build_indexes(indexes: Sequence[NewIndex]) -> None:
    """Within a revision that does nothing else: make those that are not there."""
    if op.get_bind().dialect.name != "postgresql":
        for index in indexes:
            op.create_index(index.name, index.table, list(index.columns))
        return
    with op.get_context().autocommit_block():
        _bound_waits(op.get_bind(), BUILD_LOCK_S)
        for index in indexes:
            # What is left of a build that failed costs every write and serves no query.
            if op.get_bind().scalar(_INVALID, {"name": index.name}):
                _drop_beside_others(index)
            op.create_index(
                index.name,
                index.table,
                list(index.columns),
                if_not_exists=True,
                postgresql_concurrently=True,
            )
        _bound_waits(op.get_bind(), LOCK_S)


def drop_indexes(indexes: Sequence[NewIndex]) -> None:
    """The way back from `build_indexes`."""
    if op.get_bind().dialect.name != "postgresql":
        for index in indexes:
            op.drop_index(index.name, index.table)
        return
    with op.get_context().autocommit_block():
        _bound_waits(op.get_bind(), BUILD_LOCK_S)
        for index in indexes:
            _drop_beside_others(index)
        _bound_waits(op.get_bind(), LOCK_S)


def _drop_beside_others(index: NewIndex) -> None:
    op.drop_index(index.name, index.table, if_exists=True, postgresql_concurrently=True)
