"""Engines for both databases, and the migration that brings a database up to date.

SQLite runs in WAL mode and begins every transaction with `BEGIN IMMEDIATE`. A deferred BEGIN that
turns into a write fails at once with "database is locked" when another process writes, whatever
the busy timeout is; an immediate one waits its turn.
"""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from infra.errors import ConfigurationError

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_MS = 5_000
CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 15
READ_ONLY = {"read_only": True, "postgresql_readonly": True}
"""Execution options of an engine or connection whose transactions only read."""
# Alembic keeps its context in module globals.
_ONE_AT_A_TIME = threading.Lock()
_DRIVERS = {
    "sqlite": ("sqlite+pysqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql+psycopg", "postgresql+asyncpg"),
}


def sync_engine(url: str) -> Engine:
    """An engine for processes without an event loop: workers, dispatcher, migrations."""
    target = _driver_url(url, asynchronous=False)
    if target.get_backend_name() == "sqlite":
        engine = create_engine(target)
    else:
        engine = create_engine(
            target, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S}
        )
    _prepare(engine, target)
    return engine


def async_engine(url: str) -> AsyncEngine:
    """An engine for the control process; its sessions never leave that process's loop."""
    target = _driver_url(url, asynchronous=True)
    if target.get_backend_name() == "sqlite":
        engine = create_async_engine(target)
    else:
        engine = create_async_engine(
            target,
            pool_pre_ping=True,
            pool_timeout=CONNECT_TIMEOUT_S,
            connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S},
        )
    _prepare(engine.sync_engine, target)
    # SQLAlchemy reports the connection of a cancelled task as an error, with a traceback.
    logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool").addFilter(_no_cancellation)
    return engine


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`; safe when several processes start at once."""
    _migration(url, "upgrade", revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision` ("base": no tables)."""
    _migration(url, "downgrade", revision)


def _migration(url: str, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    # Alembic takes 0.4 s to import, and most roles never migrate.
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


def _driver_url(url: str, *, asynchronous: bool) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "the database URL cannot be read; write sqlite:///path/to/livepath.db or "
            "postgresql://user:password@host/name"
        ) from error
    drivers = _DRIVERS.get(parsed.get_backend_name())
    if drivers is None:
        raise ConfigurationError(
            f"{parsed.get_backend_name()} databases are not supported; use sqlite or postgresql"
        )
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigurationError(
                "an in-memory SQLite database is not shared between processes; "
                "write sqlite:///path/to/livepath.db"
            )
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return parsed.set(drivername=drivers[asynchronous])


def _prepare(engine: Engine, url: URL) -> None:
    if url.get_backend_name() == "sqlite":
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
    reading = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
