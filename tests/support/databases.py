"""Migrated databases without rows: migrated once, for a migration costs more than most tests.

So do engines: one compiles every statement that it has not seen yet. Where a test's database has
the URL of the one before, its engines can be those of the one before.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db import control, idempotency, jobs, markers, outbox, revocations, webhooks
from infra.db.base import Base
from infra.db.engine import async_engine, migrate, sync_engine
from tests.support.postgres import PostgresServer

# Importing a module of tables adds them to `Base.metadata`.
TABLES = (control, idempotency, jobs, markers, outbox, revocations, webhooks)


def migrated_sqlite(folder: Path) -> str:
    """A new file in `folder`."""
    (folder / "livepath.db").write_bytes(_sqlite_file())
    return f"sqlite:///{folder}/livepath.db"


def emptied_sqlite(folder: Path) -> str:
    """The one file in `folder` and what lies beside it, as new: for one test at a time, which
    leaves no connection."""
    for old in folder.iterdir():
        old.unlink()
    return migrated_sqlite(folder)


def migrated_postgres(server: PostgresServer) -> str:
    """The server's one migrated database, emptied: for one test at a time, which keeps its tables
    and leaves no connection."""
    url = _migrated_on(server)
    # A few rows are gone in a third of the time that TRUNCATE takes for new files.
    emptying = [f"DELETE FROM {table.name}" for table in reversed(Base.metadata.sorted_tables)]
    with psycopg.connect(url) as connection:
        connection.execute("SET lock_timeout = '10s'")
        connection.execute("; ".join(emptying))
        connection.execute("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
    return url


@asynccontextmanager
async def kept_engines(url: str) -> AsyncIterator[tuple[Engine, AsyncEngine]]:
    """Those of all tests with this URL, without a connection before and after."""
    engine, asynchronous = _sync_engine(url), _async_engine(url)
    try:
        yield engine, asynchronous
    finally:
        await asynchronous.dispose()
        engine.dispose()


_sync_engine = cache(sync_engine)
_async_engine = cache(async_engine)


@cache
def _sqlite_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        migrate(f"sqlite:///{folder}/livepath.db")
        return Path(folder, "livepath.db").read_bytes()


@cache
def _migrated_on(server: PostgresServer) -> str:
    url = server.create_database()
    migrate(url)
    return url
