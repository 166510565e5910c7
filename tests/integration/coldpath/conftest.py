"""Real servers for the tests of the cold path."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from infra.db.engine import migrate, sync_engine
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="package")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated database, once for each kind that is supported."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/livepath.db"
    else:
        url = request.getfixturevalue("postgres").create_database()
    migrate(url)
    engine = sync_engine(url)
    yield engine
    engine.dispose()
