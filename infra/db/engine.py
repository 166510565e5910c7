"""Engines for both databases, and the migration that brings a database up to date.

Where several Postgres servers are named, connections go to the one that takes writes, also after
another has become it.

SQLite runs in WAL mode and begins every transaction with `BEGIN IMMEDIATE`. A deferred BEGIN that
turns into a write fails at once with "database is locked" when another process writes, whatever
the busy timeout is; an immediate one waits its turn. Who only reads begins none: each statement
sees what is committed when it starts, on both databases.
"""

import asyncio
import logging
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from infra.db.outage import sqlstate_of
from infra.db.url import PostgresUrl, SqliteUrl, read_url

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_MS = 5_000
CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 15
READ_ONLY = {"read_only": True, "postgresql_readonly": True}
"""Execution options of an engine or connection whose transactions only read."""
SILENT_S = 5.0
"""A connection that nobody used for so long is asked whether it lives."""
# Alembic keeps its context in module globals.
_ONE_AT_A_TIME = threading.Lock()
_NOTICE_SILENCE: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Of libpq, in s and ms: a server whose host vanished is noticed within a quarter of a minute, not
after TCP's own, whether we wait for it or it for us. A statement may still take as long as it
needs."""
_USED = "used"
_READ_ONLY_SERVER = "25006"
"""SQLSTATE of a write to a server that became a standby."""


def sync_engine(url: str) -> Engine:
    """An engine for processes without an event loop: workers, dispatcher, migrations."""
    match read_url(url):
        case SqliteUrl(path=path):
            path.parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(URL.create("sqlite+pysqlite", database=str(path)))
            _prepare_sqlite(engine)
        case PostgresUrl(text=text):
            # Roles that keep their state in SQLite need not load the driver.
            import psycopg

            connect = partial(
                psycopg.connect, text, connect_timeout=CONNECT_TIMEOUT_S, **_NOTICE_SILENCE
            )
            engine = create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)
            event.listen(engine, "handle_error", _leave_a_standby)
    return engine


def async_engine(url: str) -> AsyncEngine:
    """An engine for the control process; its sessions never leave that process's loop."""
    match read_url(url):
        case SqliteUrl(path=path):
            engine = _async_sqlite(path)
        case PostgresUrl(text=text):
            import asyncpg  # type: ignore[import-untyped]

            timeouts = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S}
            engine = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=partial(asyncpg.connect, text, **timeouts),
                pool_timeout=CONNECT_TIMEOUT_S,
            )
            event.listen(engine.sync_engine, "checkout", _require_life)
            event.listen(engine.sync_engine, "checkin", _note_use)
            event.listen(engine.sync_engine, "handle_error", _leave_a_standby)
            event.listen(engine.sync_engine, "handle_error", _tell_silence)
    # SQLAlchemy reports the connection of a cancelled task as an error, with a traceback.
    logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool").addFilter(_no_cancellation)
    return engine


def writing_engine(url: str, engine: AsyncEngine) -> AsyncEngine:
    """What transactions that write use beside `engine`, an `async_engine` of `url`: it, or another.

    In SQLite only one writes at a time, and whoever finds another writing sleeps and tries again,
    ever more rarely: with a dozen at once some wait for seconds while others come and go. So those
    of one process share a connection, for which they wait in turn.
    """
    match read_url(url):
        case SqliteUrl(path=path):
            wait_s = BUSY_TIMEOUT_MS / 1000
            return _async_sqlite(path, pool_size=1, max_overflow=0, pool_timeout=wait_s)
        case PostgresUrl():
            return engine


def _async_sqlite(path: Path, **pool: Any) -> AsyncEngine:
    from infra.db.one_trip import connect

    path.parent.mkdir(parents=True, exist_ok=True)
    creator = partial(connect, path, BUSY_TIMEOUT_MS / 1000)
    engine = create_async_engine("sqlite+aiosqlite:///file", async_creator=creator, **pool)
    _prepare_sqlite(engine.sync_engine)
    return engine


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`; safe when several processes start at once."""
    if revision != "head" or not _is_current(url):
        _migration(url, "upgrade", revision)


def _is_current(url: str) -> bool:
    """Whether there is nothing to migrate, as at nearly every start: alembic takes a fifth of the
    start to import."""
    newest = max(path.name[1:5] for path in MIGRATIONS.glob("versions/r*.py"))
    engine = sync_engine(url)
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version"))
            return found.scalars().all() == [newest]
    except DBAPIError:
        # No such table, or no such database: alembic knows what to do, or to say.
        return False
    finally:
        engine.dispose()


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision` ("base": no tables)."""
    _migration(url, "downgrade", revision)


def _migration(url: str, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    # Alembic takes 0.4 s to import, and most processes never migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    # Without it alembic warns that path separators are guessed.
    config.set_main_option("path_separator", "os")
    engine = sync_engine(url)
    try:
        with _ONE_AT_A_TIME, engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(command, direction)(config, revision)
    finally:
        engine.dispose()


def _leave_a_standby(context: ExceptionContext) -> None:
    """Its connections still answer: drop them all, so that the next ones look for who writes."""
    if sqlstate_of(context.original_exception) == _READ_ONLY_SERVER:
        context.is_disconnect = True


def _tell_silence(context: ExceptionContext) -> OperationalError | None:
    """asyncpg raises what the network does to a statement as it is, the end of `COMMAND_TIMEOUT_S`
    too: make it the error of a database, and drop that one connection without asking it."""
    error = context.original_exception
    if not isinstance(error, OSError):
        return None
    context.is_disconnect = True
    # One statement that takes too long says nothing of the other connections.
    context.invalidate_pool_on_disconnect = False
    return OperationalError(context.statement, None, error, connection_invalidated=True)


def _prepare_sqlite(engine: Engine) -> None:
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)


def _no_cancellation(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _sqlite_connect(dbapi_connection: Any, _record: Any) -> None:
    # The driver must not begin transactions of its own; _sqlite_begin does.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # In WAL mode NORMAL cannot corrupt; a power cut may lose the last commits, a kill may not.
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    # A reader never writes later, so it needs no place in the writers' queue.
    if not connection.get_execution_options().get("read_only", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _note_use(_dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


def _require_life(dbapi_connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Have the pool make new connections when this one is dead.

    In place of `pool_pre_ping`, which takes three round trips before every transaction. asyncpg
    hears at once of a server that goes; who was silent for a while may have been lost without a
    word.
    """
    if dbapi_connection.driver_connection.is_closed():
        raise InvalidatePoolError
    now = time.monotonic()
    if now - record.info.get(_USED, now) < SILENT_S:
        return
    try:
        dbapi_connection.ping()
    except (dbapi_connection.dbapi.Error, OSError) as error:
        raise InvalidatePoolError from error
