"""The database's clock.

Leases are compared by one clock only. Workers and dispatcher may run on machines whose clocks
differ; the database they share has one.
"""

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import text
from sqlalchemy.orm import Session

Clock: TypeAlias = Callable[[Session], int]
"""Unix milliseconds, asked inside a transaction."""

_NOW = {
    # unixepoch('subsec') is shorter, but SQLite before 3.42 does not know it.
    "sqlite": text("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"),
    # clock_timestamp, not now(): a transaction that waited for a lock must not use an old time.
    "postgresql": text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"),
}


def database_now_ms(session: Session) -> int:
    """Unix milliseconds by the database's clock."""
    return int(session.execute(_NOW[session.get_bind().dialect.name]).scalar_one())
