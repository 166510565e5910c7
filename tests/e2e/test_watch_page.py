"""The watch page in real Chromium, on a real stack with a real encoder."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Error, Page, expect

from tests.e2e.conftest import FPS, SIZE, Studio
from tests.e2e.watching import (
    TIMEOUT_MS,
    badge_seconds,
    facts,
    over,
    overlay_title,
    true_delay_s,
    until_playing,
)

# The browser lives longer than a test, on a loop that does.
pytestmark = pytest.mark.asyncio(loop_scope="session")
PHONE = {"width": 390, "height": 844}
READINGS = 20


async def open_page(browser: Browser, url: str, **context: Any) -> Page:
    page = await (await browser.new_context(**context)).new_page()
    await page.goto(url)
    return page


async def test_live_event_plays_with_low_latency(
    browser: Browser, on_air: dict[str, Any], tmp_path: Path
) -> None:
    url = over("hls", on_air["playback"]["player_url"])
    page = await open_page(browser, url, viewport={"width": 1280, "height": 860})
    messages: list[ConsoleMessage] = []
    errors: list[Error] = []
    # Playwright marks the handlers it is given, which a built-in method does not allow.
    page.on("console", lambda message: messages.append(message))  # noqa: PLW0108
    page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108
    await until_playing(page, 3.0)
    before = await facts(page)
    await until_playing(page, 3.0)
    after = await facts(page)
    assert after["low_latency"] is True
    assert after["width"] == SIZE[0]
    # Three seconds at 30 fps; a browser that decodes in software on a busy machine drops many.
    assert after["frames"] - before["frames"] > 10
    assert after["trouble"] is None
    # PART-HOLD-BACK of the playlist, not a default of the library.
    assert after["target"] < 2
    assert errors == []
    assert [message.text for message in messages if message.type == "error"] == []
    await page.screenshot(path=tmp_path / "player.png")


async def test_webrtc_has_picture_and_sound_with_the_lowest_delay(
    browser: Browser, on_air: dict[str, Any], tmp_path: Path
) -> None:
    page = await open_page(browser, on_air["playback"]["player_url"])
    await until_playing(page, 3.0)
    assert await page.evaluate("livepath.playback.mode") == "webrtc"
    # Sound comes through as loud as it was spoken, not as silence.
    await page.wait_for_function(
        """async () => {
            const stream = livepath.video.srcObject;
            if (!stream?.getAudioTracks().length) return false;
            const context = (window.audio ??= new AudioContext());
            if (!window.analyser) {
                window.analyser = context.createAnalyser();
                context.createMediaStreamSource(stream).connect(window.analyser);
            }
            const samples = new Float32Array(window.analyser.fftSize);
            window.analyser.getFloatTimeDomainData(samples);
            return Math.max(...samples) > 0.02;
        }""",
        timeout=TIMEOUT_MS,
    )
    # SRT's latency is 120 ms; LL-HLS cannot be below a second here.
    delays = []
    for _ in range(READINGS):
        delays.append((await true_delay_s(page))[0])
        if delays[-1] < 0.9:
            break
        await until_playing(page, 0.5)
    assert delays[-1] < 0.9, delays
    await page.keyboard.press("s")
    await expect(page.locator("#stats")).to_contain_text("H264", timeout=TIMEOUT_MS)
    await page.screenshot(path=tmp_path / "webrtc.png")


async def test_a_change_of_network_restarts_ice_and_playback_goes_on(
    browser: Browser, on_air: dict[str, Any]
) -> None:
    page = await open_page(browser, over("webrtc", on_air["playback"]["player_url"]))
    await until_playing(page, 1.0)
    async with page.expect_response(lambda answer: answer.request.method == "PATCH") as restarted:
        await page.evaluate("window.dispatchEvent(new Event('online'))")
    assert (await restarted.value).status == 200
    posts: list[str] = []
    page.on("request", lambda request: request.method == "POST" and posts.append(request.url))
    await until_playing(page, 3.0)
    assert posts == []
    assert await page.evaluate("livepath.playback.trouble") is None


@pytest.mark.parametrize("transport", ["hls", "webrtc"])
async def test_badge_says_the_delay_that_the_picture_shows(
    browser: Browser, on_air: dict[str, Any], transport: str
) -> None:
    page = await open_page(browser, over(transport, on_air["playback"]["player_url"]))
    await until_playing(page, 4.0)
    assert (await facts(page))["clock_measured"]
    agreed = 0
    for _ in range(READINGS):
        shown = await badge_seconds(page)
        true, stamp = await true_delay_s(page)
        # The encoder's timestamps count frames. On a machine that is too busy to draw them in time
        # they fall behind the wall clock, and PROGRAM-DATE-TIME with them.
        first_ms = on_air["encoder"].first_frame_unix_ms
        drawn_late = (stamp.unix_ms - first_ms) / 1000 - stamp.index / FPS
        # The badge starts to count at ingest; coding and SRT's latency come before that. It shows a
        # median of three, so it needs a moment to follow a player that has just jumped to live.
        agreed = agreed + 1 if -0.5 < true + drawn_late - shown < 2.0 else 0
        if agreed == 3:
            break
        await until_playing(page, 0.5)
    assert agreed == 3, f"the badge says {shown} s, the picture is {true:.2f} s old"
    claim = page.locator("#badge[data-mode=live], #badge[data-mode=behind]")
    await claim.wait_for(timeout=TIMEOUT_MS)


async def test_fits_a_phone(browser: Browser, on_air: dict[str, Any], tmp_path: Path) -> None:
    page = await open_page(
        browser, on_air["playback"]["player_url"], viewport=PHONE, is_mobile=True, has_touch=True
    )
    await until_playing(page, 2.0)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for name in ("#play", "#mute", "#fullscreen"):
        box = await page.locator(name).bounding_box()
        assert box is not None
        assert box["width"] >= 44, name  # a fingertip
        assert box["height"] >= 44, name
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= PHONE["width"], name
    assert await page.locator("#badge").is_visible()
    await page.screenshot(path=tmp_path / "phone.png")


async def test_keyboard_and_screen_reader(browser: Browser, on_air: dict[str, Any]) -> None:
    page = await open_page(browser, on_air["playback"]["player_url"])
    await until_playing(page, 1.0)
    await page.keyboard.press("k")
    assert await page.evaluate("livepath.video.paused")
    await expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    await page.keyboard.press("k")
    await page.keyboard.press("m")
    assert await page.evaluate("livepath.video.muted")
    await expect(page.get_by_role("button", name="Sound on")).to_have_count(1)
    unnamed = """[...document.querySelectorAll("button, input")]
        .filter(x => !x.ariaLabel && !x.innerText.trim() && !x.hidden).map(x => x.id)"""
    assert await page.evaluate(unnamed) == []
    await until_playing(page, 1.0)
    await expect(page.locator("#announce")).to_have_text("Live")


async def test_token_event_plays_with_a_token_only(
    browser: Browser, studio: Studio, ticketed: dict[str, Any]
) -> None:
    without = await open_page(browser, ticketed["playback"]["player_url"])
    await overlay_title(without, "This event needs a personal link")
    ticket = studio.call("POST", f"/v1/events/{ticketed['id']}/tokens", subject="alice")
    requested: list[str] = []
    page = await (await browser.new_context()).new_page()
    page.on("request", lambda request: requested.append(request.url))
    await page.goto(ticket["player_url"])
    await until_playing(page, 2.0)
    # The token reaches the media server alone, as a path, and never the page's server.
    pages = ticketed["playback"]["player_url"].partition("/watch/")[0]
    assert not [url for url in requested if url.startswith(pages) and ticket["token"] in url]
    assert [url for url in requested if f"/t/{ticket['token']}/live/" in url]


async def test_wrong_token_says_so(browser: Browser, ticketed: dict[str, Any]) -> None:
    page = await open_page(browser, ticketed["playback"]["player_url"] + "#not.a.token")
    await overlay_title(page, "This link has expired")


async def test_scheduled_event_counts_down(browser: Browser, studio: Studio) -> None:
    event = studio.schedule(name="Later", starts_at="2099-01-01T00:00:00Z")
    page = await open_page(browser, event["playback"]["player_url"])
    await overlay_title(page, "Starts in")
    assert "days" in await page.locator("#countdown").inner_text()


async def test_unknown_event_says_so(browser: Browser, on_air: dict[str, Any]) -> None:
    url = on_air["playback"]["player_url"].replace(on_air["id"], "ev_aaaaaaaaaaaaaaaaaaaa")
    page = await open_page(browser, url)
    await overlay_title(page, "There is no such event")


async def test_page_waits_recovers_and_ends_with_the_event(
    browser: Browser, studio: Studio
) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=10)
    event = studio.schedule(
        name="A bad connection", starts_at=soon.isoformat(), time_zone="Asia/Tokyo"
    )
    page = await open_page(browser, event["playback"]["player_url"])
    await page.locator("#state[data-state=lobby]").wait_for(timeout=TIMEOUT_MS)
    await overlay_title(page, "Starts in")
    assert "(Asia/Tokyo)" in await page.locator("#overlay-text").inner_text()
    await expect(page.locator("#countdown")).to_have_text(re.compile(r"(10:00|09:\d\d)"))
    with studio.publishing(event):
        await until_playing(page, 2.0)
    studio.wait_for_state(event, "reconnecting")
    await page.locator("#state[data-state=reconnecting]").wait_for(timeout=TIMEOUT_MS)
    # The last picture is shown meanwhile, five times a second.
    before = await facts(page)
    await until_playing(page, 2.0)
    assert (await facts(page))["frames"] - before["frames"] > 4
    with studio.publishing(event):
        await page.locator("#state[data-state=live]").wait_for(timeout=TIMEOUT_MS)
        await until_playing(page, 2.0)
        studio.call("POST", f"/v1/events/{event['id']}/end")
    await overlay_title(page, "This event has ended")
    assert await page.locator("#badge").is_hidden()
