from collections.abc import AsyncIterator

import pytest

from tests.support.fanout import Plane, running_plane


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with running_plane() as running:
        yield running
