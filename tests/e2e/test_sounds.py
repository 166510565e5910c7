"""The choice of a language on the watch page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.conftest import Studio
from tests.e2e.watching import TIMEOUT_MS, over, until_playing
from tests.support.media import Recipe, make_ts, publishing

pytestmark = pytest.mark.asyncio(loop_scope="session")
ENGLISH_HZ, GERMAN_HZ = 440, 1000
BILINGUAL = Recipe(
    size="320x180", seconds=20, bitrate="400k", tones=(ENGLISH_HZ, GERMAN_HZ),
    audio=("-c:a", "aac", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"),
)  # fmt: skip
# Whether this is the loudest tone that comes out of the player.
HEARS = """hertz => {
  if (!window.analyser) {
    window.context = new AudioContext();
    window.analyser = context.createAnalyser();
    analyser.fftSize = 4096;
    context.createMediaElementSource(livepath.video).connect(analyser);
  }
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const loudest = levels.indexOf(Math.max(...levels)) * context.sampleRate / analyser.fftSize;
  return Math.abs(loudest - hertz) < 40;
}"""


@pytest.fixture(scope="module")
def bilingual(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    event = studio.schedule(name="In two languages")
    source = make_ts(Path(tmp_path_factory.mktemp("media")) / "bilingual.ts", BILINGUAL)
    with publishing(source, event["ingest"]["srt"]["url"], loop=True) as encoder:
        studio.wait_for_state(event, "live", encoder=encoder)
        yield event


async def test_the_viewer_chooses_a_language_by_keyboard(
    browser: Browser, bilingual: dict[str, Any], tmp_path: Path
) -> None:
    page = await browser.new_page()
    await page.goto(over("hls", bilingual["playback"]["player_url"]))
    await until_playing(page)
    choice = page.get_by_role("combobox", name="Audio track")
    await expect(choice.locator("option")).to_have_text(["English", "German"], timeout=TIMEOUT_MS)
    await expect(choice).to_have_value("English")
    await page.wait_for_function(HEARS, arg=ENGLISH_HZ, timeout=TIMEOUT_MS)
    await choice.focus()
    await page.keyboard.press("ArrowDown")
    await expect(choice).to_have_value("German")
    await page.wait_for_function(HEARS, arg=GERMAN_HZ, timeout=TIMEOUT_MS)
    await until_playing(page)
    await page.screenshot(path=tmp_path / "sounds.png")


async def test_there_is_nothing_to_choose_over_webrtc(
    browser: Browser, bilingual: dict[str, Any]
) -> None:
    page = await browser.new_page()
    await page.goto(over("webrtc", bilingual["playback"]["player_url"]))
    await until_playing(page)
    await expect(page.locator("#sound")).to_be_hidden()
