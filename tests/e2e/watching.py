"""A watch page in a real browser, and what is true about it."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page

from infra.demo import barcode
from infra.demo.barcode import Stamp

TIMEOUT_MS = 60_000
# The picture as the viewer sees it right now: its luma, and the wall clock of that moment.
GRAB = """() => {
  const video = livepath.video, canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const now = Date.now();
  const lines = Math.ceil(video.videoHeight / 8);
  const pixels = context.getImageData(0, 0, canvas.width, lines).data;
  let text = "";
  for (let i = 1; i < pixels.length; i += 4) text += String.fromCharCode(pixels[i]);
  return { now, width: canvas.width, height: canvas.height, lines, luma: btoa(text) };
}"""
COUNT_FRAMES = """() => {
  window.gaps = [];
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    window.gaps.push(now - last);
    last = now;
    livepath.video.requestVideoFrameCallback(tick);
  };
  livepath.video.requestVideoFrameCallback(tick);
}"""
"""Notes the milliseconds between any two frames in `gaps`."""
FACTS = """() => {
  const { video, playback, feed, clock } = livepath;
  const shown = playback.shownAt();
  return {
    time: video.currentTime,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    width: video.videoWidth,
    low_latency: playback.hls?.lowLatencyMode ?? null,
    target: playback.target,
    latency: shown === null ? null : (clock.now() - shown) / 1000,
    clock_measured: clock.measured,
    trouble: playback.trouble,
    state: feed.event?.state ?? null,
  };
}"""


def over(transport: str, url: str) -> str:
    """The player's URL, for one transport alone."""
    page, hash_, fragment = url.partition("#")
    return f"{page}?transport={transport}{hash_}{fragment}"


async def facts(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate(FACTS)
    return found


async def until_playing(page: Page, seconds: float = 1.0) -> None:
    """The picture has moved on by `seconds` since now."""
    start = await page.evaluate("livepath.video.currentTime")
    await page.wait_for_function(
        "from => livepath.video.readyState >= 3 && livepath.video.currentTime > from",
        arg=start + seconds,
        timeout=TIMEOUT_MS,
    )


async def until_true(page: Page, condition: str) -> None:
    """A condition of the page."""
    await page.wait_for_function(f"() => {condition}", timeout=TIMEOUT_MS)


async def until_found(page: Page, condition: Callable[[], bool]) -> None:
    """Something at the origin, while the page's clock goes on."""
    for _ in range(600):
        if condition():
            return
        await page.wait_for_timeout(50)
    pytest.fail("not within 30 s")


async def overlay_title(page: Page, title: str) -> None:
    """The overlay says `title`."""
    await page.get_by_text(title, exact=True).first.wait_for(timeout=TIMEOUT_MS)
    assert await page.locator("#overlay-title").inner_text() == title


async def badge_seconds(page: Page) -> float:
    """What the badge says the delay is, once it says one."""
    said = (
        r"() => /^([\d.]+) s behind$/.exec(document.getElementById('badge-delay').innerText)?.[1]"
    )
    found = await page.wait_for_function(said, timeout=TIMEOUT_MS)
    return float(await found.json_value())


async def true_delay_s(page: Page) -> tuple[float, Stamp]:
    """From drawing the frame that is on the screen until now, by the barcode in the picture."""
    grabbed = await page.evaluate(GRAB)
    top = np.frombuffer(base64.b64decode(grabbed["luma"]), dtype=np.uint8)
    # The reader wants the whole picture; below the strip it looks at nothing.
    picture = np.zeros((grabbed["height"], grabbed["width"]), dtype=np.uint8)
    picture[: grabbed["lines"]] = top.reshape(grabbed["lines"], grabbed["width"])
    stamp = barcode.read(picture)
    assert stamp is not None, "the browser shows a picture without a readable barcode"
    return float(grabbed["now"] - stamp.unix_ms) / 1000, stamp
