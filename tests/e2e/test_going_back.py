"""A viewer goes back in a running event, stays there, and returns to live."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from playwright.async_api import Browser, Page, expect

from infra.events.captions import HeardCue, HeardWindow, announce
from infra.keys import ProgramKey
from tests.e2e.conftest import Studio
from tests.e2e.watching import TIMEOUT_MS, facts, over, until_playing
from tests.support.m3u8 import parse
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
    with publishing(source, event["ingest"]["srt"]["url"], loop=True) as encoder:
        studio.wait_for_state(event, "live", encoder=encoder)
        yield event


def older_reads(stack: RunningStack) -> float:
    text = httpx2.get(f"{stack.endpoints.media_url}/metrics", trust_env=False).text
    lines = [
        line for line in text.splitlines() if line.startswith("livepath_hls_older_reads_total")
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines if "nowhere" not in line)


@contextmanager
def told(stack: RunningStack, event: dict[str, Any]) -> Iterator[None]:
    """Says over the bus, second by second, that somebody counts the time."""
    key = ProgramKey("default", event["id"])
    url = event["playback"]["hls_url"].replace("index.m3u8", "captions.m3u8")
    first = httpx2.get(url, trust_env=False).text
    incarnation = parse(first).segments[0].uri.partition("/")[0]  # type: ignore[union-attr]
    over = threading.Event()

    def tell() -> None:
        with redis.Redis.from_url(stack.endpoints.bus_url) as client:
            second = int(time.time()) - 1
            while not over.wait(max(0.0, second + 1 - time.time())):
                at = 1000 * second
                cue = HeardCue(at, at + 1000, f"second {second}")
                names = (key.project, key.event, key.feed, incarnation)
                announce(client, HeardWindow(*names, "en", at, at + 1000, (cue,)))
                second += 1

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


async def captions(page: Page) -> tuple[list[str], float]:
    """What is on the screen, and the Unix time of the picture."""
    words, at = await page.evaluate(
        """() => [
          [...document.getElementById("video").textTracks]
            .filter((track) => track.mode === "showing")
            .flatMap((track) => [...(track.activeCues ?? [])].map((cue) => cue.text)),
          livepath.playback.shownAt() / 1000,
        ]"""
    )
    return words, at


async def test_captions_say_what_was_said_then(
    browser: Browser, stack: RunningStack, with_a_past: dict[str, Any], tmp_path: Path
) -> None:
    page = await browser.new_page()
    with told(stack, with_a_past):
        await until_listed(with_a_past, STEP_S + 6)
        await page.goto(over("hls", with_a_past["playback"]["player_url"]))
        await until_playing(page)
        button = page.get_by_role("button", name="Captions")
        await expect(button).to_have_attribute("aria-pressed", "false")
        assert await captions(page) == ([], pytest.approx(time.time(), abs=8))
        await page.keyboard.press("c")
        await expect(button).to_have_attribute("aria-pressed", "true")
        await page.keyboard.press("j")
        async with asyncio.timeout(TIMEOUT_MS / 1000):
            while not (await captions(page))[0]:
                await asyncio.sleep(0.1)
        for _ in range(3):
            words, at = await captions(page)
            assert words
            assert abs(int(words[0].removeprefix("second ")) + 0.5 - at) < 1, (words, at)
            await asyncio.sleep(0.4)
        await page.mouse.move(300, 300)
        await page.screenshot(path=tmp_path / "captions.png")
        await page.keyboard.press("c")
        await page.wait_for_function(
            "() => [...document.getElementById('video').textTracks]"
            ".every((track) => track.mode !== 'showing')"
        )
    await page.close()


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
