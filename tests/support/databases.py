"""Migrated databases without rows: migrated once, for a migration costs more than most tests."""

import tempfile
from functools import cache
from pathlib import Path

import psycopg

from infra.db import control, idempotency, jobs, markers, outbox, revocations, webhooks
from infra.db.base import Base
from infra.db.engine import migrate
from tests.support.postgres import PostgresServer

# Importing a module of tables adds them to `Base.metadata`.
TABLES = (control, idempotency, jobs, markers, outbox, revocations, webhooks)


def migrated_sqlite(folder: Path) -> str:
    """A new file in `folder`."""
    (folder / "livepath.db").write_bytes(_sqlite_file())
    return f"sqlite:///{folder}/livepath.db"


def migrated_postgres(server: PostgresServer) -> str:
    """The server's one migrated database, emptied: for one test at a time, which keeps its tables
    and leaves no connection."""
    url = _migrated_on(server)
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with psycopg.connect(url) as connection:
        connection.execute("SET lock_timeout = '10s'")
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
    return url


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
