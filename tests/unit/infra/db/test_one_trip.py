"""Statements of SQLite in one trip to the connection's thread."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db import one_trip
from infra.db.engine import READ_ONLY, async_engine
from infra.db.one_trip import OneTripConnection


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done on a connection's thread."""
    made: list[str] = []
    real = OneTripConnection._execute

    async def counted(
        self: OneTripConnection, work: Callable[..., Any], *rest: Any, **named: Any
    ) -> Any:
        made.append(repr(work))
        return await real(self, work, *rest, **named)

    monkeypatch.setattr(OneTripConnection, "_execute", counted)
    return made


@pytest.fixture
async def engine(tmp_path: Path, trips: list[str]) -> AsyncIterator[AsyncEngine]:
    made = async_engine(f"sqlite:///{tmp_path}/x.db")
    async with made.begin() as connection:
        await connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"))
    trips.clear()
    yield made
    await made.dispose()


async def test_a_transaction_that_writes(engine: AsyncEngine, trips: list[str]) -> None:
    async with engine.begin() as connection:
        added = text("INSERT INTO t (name) VALUES (:name) RETURNING id")
        found = await connection.execute(added, {"name": "a"})
        assert found.all() == [(1,)]
        many = text("INSERT INTO t (name) VALUES (:name)")
        await connection.execute(many, [{"name": "b"}, {"name": "c"}])
        changed = await connection.execute(text("UPDATE t SET name = name || '!'"))
        assert changed.rowcount == 3
    # BEGIN, three statements, COMMIT.
    assert len(trips) == 5


async def test_a_read_is_one_trip(engine: AsyncEngine, trips: list[str]) -> None:
    async with engine.execution_options(**READ_ONLY).connect() as connection:
        found = await connection.execute(text("SELECT count(*), max(name) FROM t"))
        assert found.keys() == ["count(*)", "max(name)"]
        assert found.all() == [(0, None)]
        await connection.commit()
    assert len(trips) == 1


async def test_a_statement_that_fails_rolls_back(engine: AsyncEngine) -> None:
    add = text("INSERT INTO t (name) VALUES ('a')")

    async def twice() -> None:
        async with engine.begin() as connection:
            await connection.execute(add)
            await connection.execute(add)

    with pytest.raises(IntegrityError):
        await twice()
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 0


async def test_a_closed_connection_says_so(tmp_path: Path) -> None:
    connection = await one_trip.connect(tmp_path / "y.db", 1.0)
    cursor = connection.cursor()
    await cursor.execute("SELECT 1")
    assert await cursor.fetchall() == [(1,)]
    assert await cursor.fetchall() == []
    with pytest.raises(sqlite3.OperationalError):
        await cursor.execute("SELECT nothing FROM nowhere")
    await connection.close()
    with pytest.raises(ValueError, match="no active connection"):
        await cursor.execute("SELECT 1")
