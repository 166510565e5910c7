"""The publish page in real Chromium with a made-up camera: against aiortc, which does as scripted,
and against a whole stack."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from infra.demo import verify
from tests.e2e.conftest import Studio, until
from tests.e2e.watching import over, until_playing
from tests.support.whep import TOKEN, Origin, whep_origin

# The browser lives longer than a test, on a loop that does.
pytestmark = pytest.mark.asyncio(loop_scope="session")
TIMEOUT_MS = 60_000
EVENT = "ev_a"


@pytest_asyncio.fixture(loop_scope="session")
async def origin() -> AsyncIterator[Origin]:
    async with whep_origin() as origin:
        yield origin


async def open_page(
    browser: Browser, origin: Origin, token: str = TOKEN, **context: object
) -> Page:
    page = await (await browser.new_context(**context)).new_page()  # type: ignore[arg-type]
    await page.goto(f"{origin.url}/publish/{EVENT}{token and '#' + token}")
    return page


async def until_found(page: Page, condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        await page.wait_for_timeout(50)
    pytest.fail("not within 30 s")


async def state(page: Page, word: str) -> None:
    await page.locator(f"#state[data-state={word}]").wait_for(timeout=TIMEOUT_MS)


async def test_camera_and_sound_arrive_and_stopping_ends_the_session(
    camera_browser: Browser, origin: Origin
) -> None:
    page = await open_page(camera_browser, origin)
    await page.locator("#show").click()
    await state(page, "preview")
    await page.wait_for_function("() => livepath.preview.videoWidth > 0", timeout=TIMEOUT_MS)
    # Labels come with the permission.
    assert "fake" in (await page.locator("#camera").inner_text()).lower()
    await page.locator("#toggle").click()
    await state(page, "publishing")
    await until_found(page, lambda: origin.taken["video"] > 10 and origin.taken["audio"] > 50)
    assert origin.tokens == [f"Bearer {TOKEN}"]
    health = page.locator("#health")
    for words in ("bit/s", "fps", "UDP", "H264"):
        await expect(health).to_contain_text(words, timeout=TIMEOUT_MS)
    # The made-up microphone beeps.
    await page.wait_for_function("() => livepath.meter.read() > -50", timeout=TIMEOUT_MS)
    await page.locator("#toggle").click()
    await state(page, "preview")
    await until_found(page, lambda: origin.deleted == ["s1"])


async def test_the_servers_warnings_are_shown(camera_browser: Browser, origin: Origin) -> None:
    now = datetime.now(UTC).isoformat()
    origin.notices = [
        {"at": now, "type": "ingest.warning", "message": "keyframes every 10 s", "detail": {}},
        {"at": now, "type": "publisher.connected", "message": "an encoder", "detail": {}},
    ]
    page = await open_page(camera_browser, origin)
    await expect(page.locator("#warnings")).to_have_text("keyframes every 10 s", timeout=TIMEOUT_MS)


async def test_a_lost_session_comes_back_by_itself(camera_browser: Browser, origin: Origin) -> None:
    page = await open_page(camera_browser, origin)
    await page.locator("#toggle").click()
    await state(page, "publishing")
    await origin.sessions["s1"].close()
    await until_found(page, lambda: len(origin.sessions) == 2)
    await state(page, "publishing")


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "not valid any more"), (403, "The event is over"), (409, "Somebody else is publishing")],
)
async def test_a_refusal_is_explained_and_not_repeated(
    camera_browser: Browser, origin: Origin, status: int, words: str
) -> None:
    origin.refuse = [(status, {})]
    page = await open_page(camera_browser, origin)
    await page.locator("#toggle").click()
    await expect(page.locator("#trouble")).to_contain_text(words, timeout=TIMEOUT_MS)
    await state(page, "preview")
    assert len(origin.posts) == 1


async def test_a_denied_permission_says_what_to_do(browser: Browser, origin: Origin) -> None:
    page = await open_page(browser, origin)
    await page.evaluate(
        """() => { navigator.mediaDevices.getUserMedia = async () => {
            throw new DOMException("no", "NotAllowedError"); }; }"""
    )
    await page.locator("#toggle").click()
    await expect(page.locator("#trouble")).to_contain_text("Allow them", timeout=TIMEOUT_MS)
    assert origin.posts == []


async def test_no_camera_says_so(browser: Browser, origin: Origin) -> None:
    page = await open_page(browser, origin)
    await page.locator("#show").click()
    await expect(page.locator("#trouble")).not_to_be_empty(timeout=TIMEOUT_MS)


@pytest.mark.parametrize(("token", "words"), [("", "has no key"), ("wrong", "not valid any more")])
async def test_a_link_without_a_right_key_says_so(
    camera_browser: Browser, origin: Origin, token: str, words: str
) -> None:
    page = await open_page(camera_browser, origin, token)
    await expect(page.locator("#trouble")).to_contain_text(words, timeout=TIMEOUT_MS)


async def test_fits_a_phone_and_every_field_has_a_name(
    camera_browser: Browser, origin: Origin
) -> None:
    page = await open_page(
        camera_browser, origin, viewport={"width": 390, "height": 844}, is_mobile=True
    )
    await page.locator("#show").click()
    await state(page, "preview")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    unnamed = """[...document.querySelectorAll("button, input, select, meter")]
        .filter(x => !x.ariaLabel && !x.innerText?.trim() && !x.labels?.length).map(x => x.id)"""
    assert await page.evaluate(unnamed) == []


def recorded(studio: Studio, event: dict[str, Any], folder: Path) -> dict[str, tuple[str, float]]:
    """End the event; the codec of each kind of media in its recording, and how many seconds of it
    decode."""
    studio.call("POST", f"/v1/events/{event['id']}/end")
    studio.wait_for_state(event, "archived")

    def made() -> list[str]:
        assets = studio.call("GET", f"/v1/events/{event['id']}/assets")["items"]
        return [asset["url"] for asset in assets if asset["kind"] == "mp4"]

    until("the recording is made", lambda: bool(made()))
    verify.download(made()[0], folder / "recording.mp4")
    found = {}
    for kind in ("video", "audio"):
        with av.open(str(folder / "recording.mp4")) as container:
            (stream,) = [stream for stream in container.streams if stream.type == kind]
            times = [float(frame.time or 0) for frame in container.decode(stream)]
            found[kind] = (stream.codec_context.name, times[-1] - times[0])
    return found


@pytest.mark.parametrize("transport", ["webrtc", "hls"])
async def test_what_a_page_publishes_another_plays_and_is_recorded(
    camera_browser: Browser, studio: Studio, player_libraries: None, transport: str, tmp_path: Path
) -> None:
    event = await asyncio.to_thread(studio.schedule, name="From a browser")
    page = await (await camera_browser.new_context()).new_page()
    await page.goto(event["ingest"]["whip"]["publish_url"])
    await page.locator("#quality").select_option("360p")
    await page.locator("#toggle").click()
    await state(page, "publishing")
    await expect(page.locator("#event-state")).to_contain_text("Live", timeout=TIMEOUT_MS)
    viewer = await (await camera_browser.new_context()).new_page()
    await viewer.goto(over(transport, event["playback"]["player_url"]))
    await until_playing(viewer, 3.0)
    assert await viewer.evaluate("livepath.playback.mode") == transport
    assert await viewer.evaluate("livepath.video.videoWidth") > 0
    await page.screenshot(path=tmp_path / f"publish-{transport}.png")
    await page.locator("#toggle").click()
    await asyncio.to_thread(studio.wait_for_state, event, "reconnecting")
    found = await asyncio.to_thread(recorded, studio, event, tmp_path)
    # Opus, as browsers send it, is no sound for LL-HLS and the archive.
    assert {kind: codec for kind, (codec, _) in found.items()} == {"video": "h264", "audio": "aac"}
    assert all(seconds > 3.0 for _, seconds in found.values()), found
