"""Chromium whose network lets no UDP through watches over ICE-TCP (RFC 6544)."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Browser, Route

from tests.support.rtc_viewer import without_udp
from tests.support.webrtc import Node


# The browser lives longer than a test, on a loop that does.
@pytest.mark.asyncio(loop_scope="session")
async def test_it_shows_and_plays_the_programme_over_tcp(
    live: Node, chromium: Browser, viewer_page: str
) -> None:
    async def tcp_alone(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=without_udp(await answer.text()))

    page = await chromium.new_page()
    await page.goto(viewer_page)
    await page.route("**/whep", tcp_alone)
    await page.evaluate("async url => { window.one = await watch(url, true); }", live.whep_url)
    found: dict[str, Any] = {}
    async with asyncio.timeout(30):
        while found.get("video", {}).get("framesDecoded", 0) < 150:
            await asyncio.sleep(0.1)
            found = await page.evaluate("() => one.facts()")
    metrics = (await asyncio.to_thread(live.media.get, "/metrics")).text
    assert 'livepath_webrtc_sessions{path="tcp"} 1.0' in metrics
    assert found["state"] == "connected"
    assert found["width"] == 640
    assert found["video"]["packetsLost"] == 0
    assert found["audio"]["totalAudioEnergy"] > 0.001
    await page.evaluate("() => one.close()")
