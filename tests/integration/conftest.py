"""Databases of both kinds that are supported: one server for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import emptied_sqlite, migrated_postgres
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the file that one test after the other has."""
    return tmp_path_factory.mktemp("sqlite")


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, sqlite_folder: Path) -> str:
    """The URL of a database that has its tables and no rows, once for each kind."""
    if request.param == "sqlite":
        return emptied_sqlite(sqlite_folder)
    return migrated_postgres(request.getfixturevalue("postgres"))
