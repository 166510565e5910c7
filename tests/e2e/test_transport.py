"""How the watch page chooses between WebRTC and LL-HLS, against an origin that does as scripted."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.watching import COUNT_FRAMES, TIMEOUT_MS, true_delay_s, until_found, until_true
from tests.support.whep import FPS, Origin, whep_origin

# The browser lives longer than a test, on a loop that does.
pytestmark = pytest.mark.asyncio(loop_scope="session")
EVENT = "ev_a"
MOVES = 3
"""On a machine that was busy with something else, a picture is late without a move, too."""


@pytest_asyncio.fixture(loop_scope="session")
async def origin() -> AsyncIterator[Origin]:
    async with whep_origin() as origin:
        yield origin


async def watch(browser: Browser, origin: Origin, query: str = "", token: str = "") -> Page:
    page = await browser.new_page(viewport={"width": 1000, "height": 800})
    await page.goto(f"{origin.url}/watch/{EVENT}{query}{token and '#' + token}")
    return page


async def test_webrtc_comes_first_with_the_token_in_its_path(
    browser: Browser, origin: Origin
) -> None:
    page = await watch(browser, origin, token="a.b.c")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    assert origin.posts == [f"/t/a.b.c/live/default/{EVENT}/main/whep"]
    assert await page.evaluate("livepath.playback.hls") is None
    assert await page.locator("#low-latency").is_hidden()
    # aiortc's coder begins coarsely; the barcode is readable once it has settled.
    await until_true(page, "livepath.playback.stats().decoded > 30")
    delay, _ = await true_delay_s(page)
    assert 0 < delay < 5


async def test_badge_and_statistics_say_how_it_plays(browser: Browser, origin: Origin) -> None:
    page = await watch(browser, origin)
    # The sender's clock is known after its second report.
    await until_true(page, "livepath.playback.shownAt() !== null")
    await expect(page.locator("#badge-delay")).to_contain_text("s behind", timeout=TIMEOUT_MS)
    await expect(page.locator("#badge")).to_have_attribute("data-mode", "live", timeout=TIMEOUT_MS)
    assert await page.locator("#stats").is_hidden()
    await page.keyboard.press("s")
    statistics = page.locator("#stats")
    for words in ("WebRTC", "UDP", "Round trip", "Lost packets", "fps", "decoded"):
        await expect(statistics).to_contain_text(words, timeout=TIMEOUT_MS)
    await page.locator("#stats-toggle").click()
    await expect(statistics).to_be_hidden()
    await expect(page.locator("#stats-toggle")).to_have_attribute("aria-pressed", "false")


async def test_a_full_server_means_ll_hls_and_a_press_tries_again(
    browser: Browser, origin: Origin
) -> None:
    origin.refuse = [(503, {"Retry-After": "600"})]
    page = await watch(browser, origin)
    await until_true(page, "livepath.playback.mode === 'hls'")
    assert len(origin.posts) == 1
    assert await page.evaluate("livepath.playback.canTryRealtime")
    origin.refuse = []
    await page.evaluate("livepath.playback.tryRealtime()")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    assert await page.evaluate("livepath.playback.hls") is None


async def test_without_a_path_for_media_ll_hls_plays(browser: Browser, origin: Origin) -> None:
    origin.no_path = True
    page = await watch(browser, origin)
    await until_true(page, "livepath.playback.mode === 'hls'")
    await until_found(page, lambda: origin.deleted == ["s1"])


async def test_an_event_that_is_not_there_yet_is_asked_for_again_soon(
    browser: Browser, origin: Origin
) -> None:
    origin.refuse = [(404, {}), (404, {})]
    page = await watch(browser, origin)
    await until_true(page, "livepath.playback.mode === 'hls'")
    origin.refuse = []
    await until_true(page, "livepath.playback.mode === 'webrtc'")


@pytest.mark.parametrize("asked", ["move", "drain"])
async def test_a_move_has_the_new_picture_before_the_old_one_goes(
    browser: Browser, origin: Origin, asked: str
) -> None:
    page = await watch(browser, origin, token="a.b.c")
    await until_true(page, "livepath.playback.moving")
    await page.evaluate(COUNT_FRAMES)
    where = {"url": "/live/default/ev_a/main/whep"} if asked == "move" else {}
    widest: list[float] = []
    for number in range(1, MOVES + 1):
        await until_true(page, "window.gaps.length > 5")
        await page.evaluate("window.gaps.length = 0")
        origin.tell(f"s{number}", asked, **where)
        await until_found(page, lambda old=f"s{number}": origin.deleted[-1:] == [old])
        assert len(origin.sessions) == number + 1
        # Servers write no token; the page puts its own in front.
        assert origin.posts[number] == f"/t/a.b.c/live/default/{EVENT}/main/whep"
        shown = await page.evaluate("window.gaps.length")
        await until_true(page, f"window.gaps.length > {shown + FPS}")
        assert await page.evaluate("livepath.playback.trouble") is None
        widest.append(max(await page.evaluate("window.gaps")))
        if widest[-1] < 900:
            break
    # Joining anew takes a second and more here; a move is a matter of a few frames.
    assert widest[-1] < 900, widest


async def test_a_session_that_dies_is_replaced(browser: Browser, origin: Origin) -> None:
    page = await watch(browser, origin)
    await until_true(page, "livepath.playback.moving")
    await origin.sessions["s1"].close()
    await until_found(page, lambda: len(origin.sessions) == 2)
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")


async def test_the_end_is_shown_and_nothing_is_opened_again(
    browser: Browser, origin: Origin
) -> None:
    page = await watch(browser, origin)
    await until_true(page, "livepath.playback.moving")
    origin.state = "ended"
    origin.tell("s1", "ended")
    await page.get_by_text("This event has ended", exact=True).first.wait_for(timeout=TIMEOUT_MS)
    assert len(origin.posts) == 1


async def test_what_a_viewer_is_moved_to_is_said_and_announced(
    browser: Browser, origin: Origin
) -> None:
    page = await watch(browser, origin)
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    note, announced, overlay = (page.locator(x) for x in ("#note", "#announce", "#overlay"))
    origin.tell("s1", "rendition", rendition="720p", reason="20% of the packets are lost")
    lower = "Picture at 720p. 20% of the packets are lost."
    await expect(announced).to_have_text(lower, timeout=TIMEOUT_MS)
    await expect(note).to_contain_text(lower)
    await expect(overlay).to_be_hidden()
    origin.tell("s1", "rendition", rendition="audio", reason="30% of the packets are lost")
    await expect(page.locator("#overlay-title")).to_have_text("Sound only", timeout=TIMEOUT_MS)
    await expect(overlay).to_be_visible()
    await expect(page.locator("#spinner")).to_be_hidden()
    await expect(announced).to_have_text("Sound only. 30% of the packets are lost.")
    origin.tell("s1", "rendition", rendition="main", reason="the path has recovered")
    await expect(overlay).to_be_hidden(timeout=TIMEOUT_MS)
    await expect(announced).to_have_text("Live")
    await expect(note).not_to_contain_text("Picture at")


async def test_leaving_the_page_ends_the_session(browser: Browser, origin: Origin) -> None:
    page = await watch(browser, origin)
    await until_true(page, "livepath.playback.moving")
    await page.goto(f"{origin.url}/")
    await until_found(page, lambda: origin.deleted == ["s1"])


async def test_one_transport_can_be_asked_for(browser: Browser, origin: Origin) -> None:
    page = await watch(browser, origin, "?transport=hls")
    await until_true(page, "livepath.playback.mode === 'hls'")
    assert origin.posts == []
    origin.refuse = [(403, {})]
    page = await watch(browser, origin, "?transport=webrtc")
    await until_true(page, "livepath.playback.trouble === 'denied'")
    assert await page.evaluate("livepath.playback.mode") is None


def due(*transports: str, cap: str | None = None) -> dict[str, object]:
    return {"role": "viewer", "transports": transports, "max_rendition": cap, "expires_at": None}


async def test_a_viewer_whose_tier_changes_goes_over_without_a_reload(
    browser: Browser, origin: Origin
) -> None:
    origin.access = due("whep", "hls")
    page = await watch(browser, origin, token="a.b.c")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    await page.evaluate("window.sameDocument = true")
    origin.access, origin.refuse = due("hls"), [(403, {})]
    origin.tell("s1", "fallback", reason="tier", detail="the tier watches by LL-HLS")
    await until_true(page, "livepath.playback.mode === 'hls'")
    # It asks by itself while LL-HLS plays; the button tells that it knows.
    await until_true(page, "livepath.entitlement.now.transports.length === 1")
    assert not await page.evaluate("livepath.playback.canTryRealtime")
    assert len(origin.posts) == 1
    origin.access, origin.refuse = due("whep", "hls"), []
    await page.evaluate("livepath.entitlement.ask()")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    assert await page.evaluate("window.sameDocument")
    assert set(origin.tokens) == {"Bearer a.b.c"}


async def test_a_new_token_is_taken_without_a_reload(browser: Browser, origin: Origin) -> None:
    page = await watch(browser, origin, token="a.b.c")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    await page.evaluate("window.sameDocument = true; location.hash = '#d.e.f'")
    await until_found(page, lambda: origin.deleted == ["s1"])
    assert origin.posts[1] == f"/t/d.e.f/live/default/{EVENT}/main/whep"
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    assert await page.evaluate("window.sameDocument")


async def test_whose_place_was_taken_goes_on_by_ll_hls_and_comes_back_later(
    browser: Browser, origin: Origin
) -> None:
    page = await watch(browser, origin, token="a.b.c")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    origin.tell("s1", "fallback", reason="place-taken", retry_after_s=4)
    await until_true(page, "livepath.playback.mode === 'hls'")
    await until_true(page, "livepath.playback.mode === 'webrtc' && livepath.playback.moving")
    assert len(origin.posts) == 2
