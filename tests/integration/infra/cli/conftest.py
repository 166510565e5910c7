"""A deployment of the API for the commands, on one kind of database: they know of none."""

from pathlib import Path

import pytest

from tests.integration.infra.control.conftest import deployment, s3_for_presigning, served
from tests.support.databases import emptied_sqlite

__all__ = ["deployment", "s3_for_presigning", "served"]


@pytest.fixture
def migrated_url(sqlite_folder: Path) -> str:
    return emptied_sqlite(sqlite_folder)
