"""Clients of the API that the tests of control have, on one kind of database: they know of none."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from infra.client import AsyncClient, Retries
from tests.integration.infra.control.conftest import (
    KEY,
    Deployment,
    deployment,
    s3_for_presigning,
    served,
)
from tests.support.databases import emptied_sqlite

__all__ = ["deployment", "s3_for_presigning", "served"]


@pytest.fixture
def migrated_url(sqlite_folder: Path) -> str:
    return emptied_sqlite(sqlite_folder)


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[AsyncClient]:
    """With the key of project `default`; no answer is asked for twice."""
    transport = httpx2.ASGITransport(deployment.app)
    async with AsyncClient(
        "http://control.test", KEY, retries=Retries(attempts=1), transport=transport
    ) as made:
        yield made
