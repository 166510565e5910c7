"""aiosqlite with one trip to the connection's thread for a statement, where it takes four.

A trip (queue, wake-up of the thread, call back into the event loop) costs as much as a small query,
and aiosqlite makes one to open a cursor, one to execute, one to fetch and one to close. Here a
cursor is opened, executed, read to its end and closed in one, and ending a transaction that was
never begun takes none.

Upstream: `infra.db.engine`, whose pool makes these connections. All rows of a result are in memory,
which is what SQLAlchemy does with them anyway.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiosqlite

Parameters = Sequence[Any]


class OneTripCursor:
    """What SQLAlchemy needs of an aiosqlite cursor."""

    def __init__(self, connection: "OneTripConnection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def execute(self, sql: str, parameters: Parameters | None = None) -> Self:
        await self._run(sqlite3.Connection.execute, sql, parameters or ())
        return self

    async def executemany(self, sql: str, parameters: Iterable[Parameters]) -> Self:
        await self._run(sqlite3.Connection.executemany, sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """It is."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        pass

    async def _run(self, statement: Callable[..., sqlite3.Cursor], *arguments: Any) -> None:
        def whole(connection: sqlite3.Connection) -> tuple[sqlite3.Cursor, list[Any]]:
            cursor = statement(connection, *arguments)
            try:
                return cursor, cursor.fetchall()
            finally:
                cursor.close()

        cursor, self._rows = await self._connection.run(whole)
        self.description, self.rowcount = cursor.description, cursor.rowcount
        self.lastrowid = cursor.lastrowid


class OneTripConnection(aiosqlite.Connection):
    """A connection with its thread."""

    def cursor(self) -> OneTripCursor:  # type: ignore[override]
        return OneTripCursor(self)

    async def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._execute(partial(work, self._conn))  # type: ignore[no-untyped-call]

    async def commit(self) -> None:
        if self.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        if self.in_transaction:
            await super().rollback()


async def connect(path: str | Path, timeout_s: float) -> OneTripConnection:
    def connector() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=timeout_s, check_same_thread=False)

    made = OneTripConnection(connector, iter_chunk_size=64)
    # A process that ends does not wait for it.
    made._thread.daemon = True
    await made
    return made
