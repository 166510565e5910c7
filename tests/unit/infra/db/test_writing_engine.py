"""Those who write to SQLite in one process do so in the order in which they came."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db.engine import async_engine, writing_engine

ADD = text("INSERT INTO t (name) VALUES (:name)")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/x.db"


@pytest.fixture
async def writer(url: str) -> AsyncIterator[AsyncEngine]:
    reader = async_engine(url)
    made = writing_engine(url, reader)
    async with made.begin() as connection:
        await connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"))
    yield made
    await made.dispose()
    await reader.dispose()


async def names(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list(await connection.scalars(text("SELECT name FROM t ORDER BY id")))


async def write(engine: AsyncEngine, name: str, until: asyncio.Event | None = None) -> None:
    async with engine.begin() as connection:
        await connection.execute(ADD, {"name": name})
        if until is not None:
            await until.wait()


async def test_each_waits_for_those_before(writer: AsyncEngine) -> None:
    wanted = [f"n{number}" for number in range(40)]
    await asyncio.gather(*(write(writer, name) for name in wanted))
    assert await names(writer) == wanted


async def test_whoever_gives_up_holds_up_nobody(writer: AsyncEngine) -> None:
    never = asyncio.Event()
    holding = asyncio.create_task(write(writer, "held", never))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(write(writer, "waited"))
    last = asyncio.create_task(write(writer, "written"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    holding.cancel()
    await last
    assert await names(writer) == ["written"]


async def test_another_process_is_waited_for_as_before(writer: AsyncEngine, url: str) -> None:
    other = async_engine(url)
    async with other.begin() as connection:
        await connection.execute(ADD, {"name": "theirs"})
        ours = asyncio.create_task(write(writer, "ours"))
        await asyncio.wait([ours], timeout=0.05)
        assert not ours.done()
    await ours
    assert await names(writer) == ["theirs", "ours"]
    await other.dispose()


async def test_postgres_needs_none() -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    engine = async_engine(url)
    assert writing_engine(url, engine) is engine
    await engine.dispose()
