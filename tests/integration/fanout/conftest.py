"""A plane that serves viewers, and an offer of one."""

from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.support.fanout import Plane, offer_of, running_plane


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
