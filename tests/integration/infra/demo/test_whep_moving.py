"""The demo's viewer that asks for less, against aiortc, which hears its reports."""

import asyncio
import threading

import pytest

from infra.demo.whep_moving import LOST, moved_down
from tests.support.whep import SIZE, Origin, whep_origin

pytestmark = pytest.mark.integration
SMALLER = (160, 92)


async def loss_reported(origin: Origin) -> int:
    """What the first viewer says its path lost, of 256 packets, once it has said so."""
    async with asyncio.timeout(30):
        while True:
            for peer in origin.sessions.values():
                for one in (await peer.getStats()).values():
                    if one.type == "remote-inbound-rtp" and one.fractionLost:
                        return int(one.fractionLost)
            await asyncio.sleep(0.05)


async def test_reports_loss_and_tells_of_another_size() -> None:
    async with whep_origin() as origin:
        url = f"{origin.url}/live/default/ev_a/main/whep"
        watching = asyncio.create_task(asyncio.to_thread(moved_down, url, lambda: False))
        assert await loss_reported(origin) == int(256 * LOST)
        origin.shown[0].size = SMALLER
        found = await watching
        assert origin.deleted == ["s1"]
    assert found is not None
    assert (found.before, found.after) == ("320x180", "160x92")
    assert found.seconds > 0


async def test_a_broadcast_that_ends_before_is_no_answer() -> None:
    over = threading.Event()
    async with whep_origin() as origin:
        url = f"{origin.url}/live/default/ev_a/main/whep"
        watching = asyncio.create_task(asyncio.to_thread(moved_down, url, over.is_set))
        await loss_reported(origin)
        over.set()
        assert await watching is None
        assert origin.shown[0].size == SIZE
