"""Real servers for the tests of the cold path, and a ledger on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from coldpath.deliveries import Deliveries
from coldpath.ledger import Ledger
from infra.db.engine import sync_engine
from tests.support.databases import migrated_postgres, migrated_sqlite
from tests.support.ledgers import LEASE_MS
from tests.support.postgres import PostgresServer


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self, _: Session) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="package")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated database, once for each kind that is supported."""
    if request.param == "sqlite":
        url = migrated_sqlite(tmp_path)
    else:
        url = migrated_postgres(request.getfixturevalue("postgres"))
    engine = sync_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine, clock: Clock) -> Ledger:
    return Ledger(engine, lease_ms=LEASE_MS, clock=clock)


@pytest.fixture
def deliveries(engine: Engine, clock: Clock) -> Deliveries:
    return Deliveries(engine, clock=clock)
