"""The watch page is asked to go to another media node, by one that is scripted or by control."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.e2e.watching import until_found, until_true
from tests.support.whep import FPS, Origin, whep_origin

# The browser lives longer than a test, on a loop that does.
pytestmark = pytest.mark.asyncio(loop_scope="session")
WHEP = "/live/default/ev_a/main/whep"


@pytest_asyncio.fixture(loop_scope="session")
async def origin() -> AsyncIterator[Origin]:
    async with whep_origin() as origin:
        yield origin


async def watch(browser: Browser, origin: Origin) -> Page:
    """A page that plays over WebRTC."""
    page = await browser.new_page(viewport={"width": 1000, "height": 800})
    await page.goto(f"{origin.url}/watch/ev_a")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    return page


async def test_who_cannot_move_stays_where_it_plays(browser: Browser, origin: Origin) -> None:
    page = await watch(browser, origin)
    origin.refuse = [(503, {"Retry-After": "600"})]
    origin.tell("s1", "move", url=WHEP)
    await until_found(page, lambda: len(origin.posts) == 2)
    shown = await page.evaluate("livepath.playback.stats().decoded")
    await until_true(page, f"livepath.playback.stats().decoded > {shown + 2 * FPS}")
    assert await page.evaluate("livepath.playback.mode") == "webrtc"
    assert origin.deleted == []
    origin.refuse = []
    origin.tell("s1", "move", url=WHEP)
    await until_found(page, lambda: origin.deleted == ["s1"])


async def test_another_node_has_the_event_and_is_joined_once(
    browser: Browser, origin: Origin
) -> None:
    page = await watch(browser, origin)
    origin.media_url = origin.url.replace("127.0.0.1", "localhost")
    # Its node says so and control as well, in this order.
    origin.tell("s1", "move", url=origin.media_url + WHEP)
    await until_found(page, lambda: len(origin.posts) == 2)
    await page.evaluate("livepath.feed.refresh()")
    await until_found(page, lambda: origin.deleted == ["s1"])
    await page.evaluate("livepath.feed.refresh()")
    await until_true(page, "livepath.feed.event.whep_url.includes('localhost')")
    shown = await page.evaluate("livepath.playback.stats().decoded")
    await until_true(page, f"livepath.playback.stats().decoded > {shown + FPS}")
    assert len(origin.posts) == 2


async def test_control_alone_says_that_another_node_has_the_event(
    browser: Browser, origin: Origin
) -> None:
    page = await watch(browser, origin)
    origin.media_url = origin.url.replace("127.0.0.1", "localhost")
    await page.evaluate("livepath.feed.refresh()")
    await until_found(page, lambda: origin.deleted == ["s1"])
    assert len(origin.posts) == 2
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
