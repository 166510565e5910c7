"""A viewer goes back in a running event, stays there, and returns to live."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Studio
from tests.e2e.watching import TIMEOUT_MS, facts, over, until_playing
from tests.support.media import Recipe, make_ts, publishing
from tests.support.stack import RunningStack

pytestmark = pytest.mark.asyncio(loop_scope="session")
STEP_S = 30
SMALL = Recipe(size="320x180", seconds=20, bitrate="400k")


@pytest.fixture(scope="module")
def with_a_past(
    studio: Studio, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Segments of a second leave the node's memory after 21 of them."""
    event = studio.schedule(name="Again, please", dvr_window_s=600, target_duration_s=1)
    source = make_ts(Path(tmp_path_factory.mktemp("media")) / "small.ts", SMALL)
    with publishing(source, event["ingest"]["srt"]["url"], loop=True):
        studio.wait_for_state(event, "live")
        yield event


def older_reads(stack: RunningStack) -> float:
    text = httpx2.get(f"{stack.endpoints.media_url}/metrics", trust_env=False).text
    lines = [
        line for line in text.splitlines() if line.startswith("livepath_hls_older_reads_total")
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines if "nowhere" not in line)


async def until_listed(event: dict[str, Any], segments: int) -> None:
    url = event["playback"]["hls_url"].replace("index.m3u8", "video.m3u8")
    async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(TIMEOUT_MS / 1000):
        while (await client.get(url)).text.count("#EXTINF") < segments:
            await asyncio.sleep(0.5)


async def behind(page: Page) -> float:
    latency: float = (await facts(page))["latency"]
    return latency


async def test_a_viewer_goes_back_stays_there_and_returns(
    browser: Browser, stack: RunningStack, with_a_past: dict[str, Any], tmp_path: Path
) -> None:
    page = await browser.new_page()
    await page.goto(with_a_past["playback"]["player_url"])
    await until_playing(page)
    assert await page.evaluate("livepath.playback.mode") == "webrtc"
    back, bar = page.get_by_role("button", name="Back 30 seconds"), page.locator("#seek")
    await expect(back).to_be_visible()
    await expect(bar).to_be_hidden()  # WebRTC has no past
    await until_listed(with_a_past, STEP_S + 6)

    reads = older_reads(stack)
    await page.keyboard.press("j")
    await page.wait_for_function(
        "() => livepath.playback.mode === 'hls' && livepath.playback.behind > 20",
        timeout=TIMEOUT_MS,
    )
    await until_playing(page, 4.0)
    assert STEP_S - 8 < await behind(page) < STEP_S + 12
    assert older_reads(stack) > reads
    await expect(bar).to_be_visible()
    assert STEP_S - 8 < -float(await bar.input_value()) < STEP_S + 12
    await expect(page.locator("#badge")).to_have_attribute("data-mode", "behind")
    await page.mouse.move(300, 300)  # the controls hide from a still pointer
    await page.screenshot(path=tmp_path / "back.png")

    await bar.fill("-10")
    await page.wait_for_function("() => livepath.playback.behind < 14", timeout=TIMEOUT_MS)
    await until_playing(page)
    assert 6 < await behind(page) < 20

    await page.locator("#badge").click()
    await page.wait_for_function("() => livepath.playback.mode === 'webrtc'", timeout=TIMEOUT_MS)
    await until_playing(page)
    await expect(page.locator("#badge")).to_have_attribute("data-mode", "live", timeout=TIMEOUT_MS)

    # Whoever comes now begins at the live edge, not where the list does.
    await page.goto(over("hls", with_a_past["playback"]["player_url"]))
    await until_playing(page)
    assert await behind(page) < 8
    assert await page.evaluate("livepath.playback.reach") > STEP_S
