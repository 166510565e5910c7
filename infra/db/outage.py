"""Telling an outage of the database from a statement that it rejects.

An outage passes: background tasks wait and try again, requests answer 503. A rejected statement
will be rejected again: it is a bug or a poisoned input. The drivers mix both in their exceptions.
"""

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DATABASE_ERRORS: tuple[type[Exception], ...] = (
    SQLAlchemyError,
    # asyncpg raises these itself while it connects.
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)
# SQLSTATE classes: connection exception, insufficient resources, operator intervention
# (shutdown, crash, starting up), and rollbacks that a repetition resolves.
_PASSING = ("08", "53", "57", "40")


def sqlstate_of(error: BaseException | None) -> str | None:
    """Of an error of either driver."""
    state = getattr(error, "sqlstate", None)
    return None if state is None else str(state)


def is_outage(error: BaseException) -> bool:
    """Whether the same work may succeed later."""
    if isinstance(error, OSError | PoolTimeout | OperationalError | InterfaceError):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        state = sqlstate_of(error.orig)
    else:
        state = sqlstate_of(error)
    if state is not None:
        return state.startswith(_PASSING)
    return isinstance(error, asyncpg.InterfaceError)
