"""Databases of both kinds that are supported: one server for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import migrated_postgres, migrated_sqlite
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that has its tables and no rows, once for each kind."""
    if request.param == "sqlite":
        return migrated_sqlite(tmp_path)
    return migrated_postgres(request.getfixturevalue("postgres"))
