"""A port to connect to. It runs on uvloop in the media process; its tests run on both loops."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from hotpath.webrtc.mux import Mux
from tests.support.rtc_client import Wire, running


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name.startswith("test_mux"):
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture
async def mux() -> AsyncIterator[Mux]:
    async with running(Mux(["127.0.0.1"], 0)) as made:
        yield made


@pytest.fixture
async def every_wire_is_closed() -> AsyncIterator[None]:
    """Also after a test that failed, whose loop would never close."""
    yield
    for wire in list(Wire.open):
        wire.close()
    await asyncio.sleep(0)
