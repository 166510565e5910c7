"""The demo's WHEP viewer against aiortc, which shares no code with it."""

import asyncio
import threading

import pytest

from infra.demo.errors import MediaError
from infra.demo.whep_viewing import WhepViewer, first_keyframe_ms
from tests.support.whep import whep_origin

pytestmark = pytest.mark.integration
FRAMES = 45


async def until(viewer: WhepViewer, frames: int) -> None:
    async with asyncio.timeout(30):
        while viewer.frames < frames:
            await asyncio.sleep(0.02)


async def test_every_frame_is_decoded_and_its_delay_read() -> None:
    stop = threading.Event()
    async with whep_origin() as origin:
        viewer = WhepViewer(f"{origin.url}/live/default/ev_a/main/whep")
        watching = asyncio.create_task(asyncio.to_thread(viewer.watch, stop))
        try:
            await until(viewer, FRAMES)
        finally:
            stop.set()
        viewing = await watching
        assert origin.deleted == ["s1"]
    assert viewing.lost_packets == 0
    assert viewing.newest >= FRAMES - 1
    # The first second is left out, and no clock runs backwards.
    assert 0 < len(viewing.delays_ms) < viewing.frames
    assert min(viewing.delays_ms) > 0
    median = viewing.glass_to_glass_ms(0.5)
    assert median is not None
    assert median < 5_000


async def test_a_join_tells_when_its_keyframe_was_there() -> None:
    async with whep_origin() as origin:
        url = f"{origin.url}/live/default/ev_a/main/whep"
        took = await asyncio.to_thread(first_keyframe_ms, url, lambda: False)
        assert origin.deleted == ["s1"]
    assert took is not None
    assert 0 < took < 5_000


async def test_a_refusal_says_what_the_server_said() -> None:
    async with whep_origin() as origin:
        origin.refuse = [(503, {})]
        with pytest.raises(MediaError, match=r"answered 503: .*scripted"):
            await asyncio.to_thread(first_keyframe_ms, f"{origin.url}/whep", lambda: False)


async def test_no_server_says_so() -> None:
    async with whep_origin() as origin:
        url = origin.url
    with pytest.raises(MediaError, match="does not answer"):
        await asyncio.to_thread(first_keyframe_ms, url, lambda: False)
