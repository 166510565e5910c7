"""Secrets of projects, remembered for a moment."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from infra.auth.kids import FIRST_KID
from infra.control.bootstrap import create_project
from infra.control.secret_rings import FRESH_MS, SecretRings
from infra.db.control import ProjectSecret
from infra.db.engine import READ_ONLY, async_engine, sync_engine
from tests.support.databases import migrated_sqlite

NOW = 1_900_000_000_000


class Asked:
    """A session that says how often it asked."""

    def __init__(
        self, session: AsyncSession, changing: async_sessionmaker[AsyncSession], engine: Engine
    ) -> None:
        self.session, self.changing, self.engine, self.times = session, changing, engine, 0

    def count(self, *_: object) -> None:
        self.times += 1

    def add(self, kid: str, secret: bytes) -> None:
        with Session(self.engine) as session, session.begin():
            encoded = base64.b64encode(secret).decode()
            session.add(ProjectSecret(project="p", kid=kid, secret=encoded, created_ms=NOW))

    def retire(self, kid: str) -> None:
        with Session(self.engine) as session, session.begin():
            session.delete(session.get_one(ProjectSecret, ("p", kid)))


class LateSession:
    """A session whose answers take their time to arrive."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self.has_read, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def scalars(self, query: Any) -> list[Any]:
        found = list(await self._session.scalars(query))
        self.has_read.set()
        await self.may_go_on.wait()
        return found


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    url = migrated_sqlite(tmp_path)
    engine, asynchronous = sync_engine(url), async_engine(url)
    # As the API does; else reading begins a transaction, and nobody else writes.
    reading = asynchronous.execution_options(**READ_ONLY)
    with Session(engine) as session, session.begin():
        create_project(session, "p", "P", NOW)
    async with async_sessionmaker(reading)() as session:
        made = Asked(session, async_sessionmaker(asynchronous), engine)
        event.listen(asynchronous.sync_engine, "before_cursor_execute", made.count)
        yield made
    await asynchronous.dispose()
    engine.dispose()


async def ring(rings: SecretRings, asked: Asked, now: int, *kids: str) -> list[str]:
    found = sorted(await rings.of(asked.session, "p", now, *kids))
    await asked.session.rollback()
    return found


async def test_a_ring_is_asked_for_once_in_a_while(asked: Asked) -> None:
    rings = SecretRings()
    assert await ring(rings, asked, NOW) == [FIRST_KID]
    before = asked.times
    asked.add("k2", b"later")
    assert await ring(rings, asked, NOW + FRESH_MS - 1) == [FIRST_KID]
    assert asked.times == before
    assert await ring(rings, asked, NOW + FRESH_MS) == [FIRST_KID, "k2"]


async def test_a_secret_that_is_wanted_is_looked_for_at_once(asked: Asked) -> None:
    rings = SecretRings()
    await ring(rings, asked, NOW)
    asked.add("k2", b"later")
    assert await ring(rings, asked, NOW + 1, "k2") == [FIRST_KID, "k2"]
    assert (await rings.of(asked.session, "p", NOW + 1))["k2"] == b"later"


async def test_a_retired_secret_is_not_looked_for_again_and_again(asked: Asked) -> None:
    rings = SecretRings()
    asked.add("k2", b"later")
    asked.retire(FIRST_KID)
    assert await ring(rings, asked, NOW, FIRST_KID) == ["k2"]
    before = asked.times
    assert await ring(rings, asked, NOW + 1, FIRST_KID) == ["k2"]
    assert asked.times == before


async def make_second(rings: SecretRings, session: AsyncSession) -> None:
    """As the API does, but for the commit."""
    rings.forget_after(session, "p")
    session.add(ProjectSecret(project="p", kid="k2", secret="bGF0ZXI=", created_ms=NOW))
    await session.flush()


async def test_a_change_is_known_at_once_where_it_is_made(asked: Asked) -> None:
    rings = SecretRings()
    await ring(rings, asked, NOW)
    async with asked.changing() as session:
        await make_second(rings, session)
        assert await ring(rings, asked, NOW + 1) == [FIRST_KID]
        await session.commit()
    assert await ring(rings, asked, NOW + 2) == [FIRST_KID, "k2"]


async def test_what_is_taken_back_changes_nothing(asked: Asked) -> None:
    rings = SecretRings()
    await ring(rings, asked, NOW)
    async with asked.changing() as session:
        await make_second(rings, session)
        await session.rollback()
    before = asked.times
    assert await ring(rings, asked, NOW + 1) == [FIRST_KID]
    assert asked.times == before


async def test_what_was_read_before_a_change_is_not_remembered_after_it(asked: Asked) -> None:
    rings = SecretRings()
    late = LateSession(asked.session)
    async with asked.changing() as session:
        rings.forget_after(session, "p")
        reading = asyncio.ensure_future(rings.of(cast("AsyncSession", late), "p", NOW))
        await late.has_read.wait()
        session.add(ProjectSecret(project="p", kid="k2", secret="bGF0ZXI=", created_ms=NOW))
        await session.commit()
    late.may_go_on.set()
    assert list(await reading) == [FIRST_KID]
    await asked.session.rollback()
    assert await ring(rings, asked, NOW + 1) == [FIRST_KID, "k2"]
