"""A plane that serves viewers, and an offer of one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.support.fanout import Plane, offer_of, running_plane
from tests.support.rtc_client import Wire


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with running_plane() as running:
        yield running


@pytest.fixture
async def offer() -> str:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        return await offer_of(peer)
    finally:
        await peer.close()


@pytest.fixture
async def every_wire_is_closed() -> AsyncIterator[None]:
    """Also after a test that failed."""
    yield
    for wire in list(Wire.open):
        wire.close()
    await asyncio.sleep(0)
