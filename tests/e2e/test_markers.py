"""A marker from the API to the screen, over either transport."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.conftest import Studio
from tests.e2e.watching import TIMEOUT_MS, over, until_playing

# The browser lives longer than a test, on a loop that does.
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("transport", ["webrtc", "hls"])
async def test_a_marker_is_shown_when_the_picture_reaches_it(
    browser: Browser, studio: Studio, on_air: dict[str, Any], transport: str
) -> None:
    page = await browser.new_page(viewport={"width": 1000, "height": 800})
    await page.goto(over(transport, on_air["playback"]["player_url"]))
    await until_playing(page)
    title = f"Who scores next? Over {transport}"
    path = f"/v1/events/{on_air['id']}/markers"
    marker = studio.call("POST", path, kind="poll", title=title)
    await expect(page.locator("#moment-title")).to_have_text(title, timeout=TIMEOUT_MS)
    await expect(page.locator("#moment-kind")).to_have_text("Poll")
    start = await page.evaluate("(text) => Date.parse(text)", marker["start"])
    # A sender's clock is known after its second report; until then the page takes the time of day.
    shown = "livepath.playback.shownAt() ?? livepath.clock.now()"
    assert await page.evaluate(shown) >= start
    # It goes by itself.
    await expect(page.locator("#moment")).to_be_hidden(timeout=TIMEOUT_MS)
