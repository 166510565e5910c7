"""Firefox as a WHEP viewer: another ICE, another DTLS, another jitter buffer than Chromium's."""

import asyncio
import ctypes.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peer import own_address
from tests.support.marionette import Browser, executable, firefox
from tests.support.missing import has_firefox, missing
from tests.support.webrtc import SMALL, Node, on_air

pytestmark = [
    pytest.mark.skipif(executable() is None, reason=missing("Firefox", installed=has_firefox())),
    pytest.mark.skipif(
        ctypes.util.find_library("avcodec") is None,
        reason=missing("libavcodec, which decodes H.264 for Firefox", installed=has_firefox()),
    ),
]


@pytest.fixture
def routed(tmp_path: Path) -> Iterator[Node]:
    """A node on an address that is not loopback: Firefox pairs no candidates with that."""
    with on_air(tmp_path / "data", SMALL, webrtc_hosts=own_address()) as node:
        yield node


async def until(browser: Browser, frames: int) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = await browser.call("return await window.one.facts();")
            if found.get("video", {}).get("framesDecoded", 0) >= frames:
                return found
            await asyncio.sleep(0.1)


async def test_it_shows_and_plays_the_programme_without_a_loss(
    routed: Node, viewer_page: str
) -> None:
    async with firefox() as browser:
        await browser.go(viewer_page)
        await browser.call("window.one = await window.watch(args[0]);", routed.whep_url)
        await until(browser, 30)
        found = await until(browser, 120)
        await browser.call("await window.one.close();")
    assert found["state"] == "connected"
    assert found["width"] == 640
    assert found["video"]["packetsLost"] == 0
    assert found["audio"]["totalAudioEnergy"] > 0.001
