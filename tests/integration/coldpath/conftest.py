"""A ledger on a real database, and its clock."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from coldpath.deliveries import Deliveries
from coldpath.ledger import Ledger
from infra.db.engine import sync_engine
from tests.support.ledgers import LEASE_MS


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self, _: Session) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """A migrated database, once for each kind that is supported."""
    engine = sync_engine(migrated_url)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine, clock: Clock) -> Ledger:
    return Ledger(engine, lease_ms=LEASE_MS, clock=clock)


@pytest.fixture
def deliveries(engine: Engine, clock: Clock) -> Deliveries:
    return Deliveries(engine, clock=clock)
