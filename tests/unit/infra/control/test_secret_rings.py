"""Secrets of projects, remembered for a moment."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from infra.control.bootstrap import FIRST_KID, create_project
from infra.control.secret_rings import FRESH_MS, SecretRings
from infra.db.control import ProjectSecret
from infra.db.engine import async_engine, sync_engine
from tests.support.databases import migrated_sqlite

NOW = 1_900_000_000_000


class Asked:
    """A session that says how often it asked."""

    def __init__(self, session: AsyncSession, engine: Engine) -> None:
        self.session, self.engine, self.times = session, engine, 0

    def count(self, *_: object) -> None:
        self.times += 1

    def add(self, kid: str, secret: bytes) -> None:
        with Session(self.engine) as session, session.begin():
            encoded = base64.b64encode(secret).decode()
            session.add(ProjectSecret(project="p", kid=kid, secret=encoded, created_ms=NOW))


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    url = migrated_sqlite(tmp_path)
    engine, asynchronous = sync_engine(url), async_engine(url)
    with Session(engine) as session, session.begin():
        create_project(session, "p", "P", NOW)
    async with async_sessionmaker(asynchronous)() as session:
        made = Asked(session, engine)
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
