"""The VOD page in a real browser, on a recording that the stack's own workers made."""

import io
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import httpx2
import pytest
from playwright.async_api import Browser, Page, Route, expect
from sqlalchemy.orm import Session as Rows

from coldpath.media import vod
from coldpath.media.recording import recording
from coldpath.records import asset_id
from infra.captions_group import WITH_CAPTIONS
from infra.db.engine import sync_engine
from infra.db.events_state import advance_event
from infra.db.jobs import Asset, Job
from infra.keys import ProgramKey, VodKey, parse
from infra.lifecycle import Actor, Trigger
from infra.storage.objects import ObjectStore
from infra.webvtt import Cue, webvtt
from tests.e2e.conftest import Studio, until
from tests.e2e.watching import TIMEOUT_MS, overlay_title, until_playing
from tests.support.session import EPOCH_NS, Session, encode, session
from tests.support.stack import RunningStack

# The browser lives longer than a test, on a loop that does.
pytestmark = pytest.mark.asyncio(loop_scope="session")
log = logging.getLogger(__name__)

EPOCH_MS = EPOCH_NS // 1_000_000
LENGTH_S = 12.0
FPS = 25


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(EPOCH_MS / 1000 + seconds, UTC).isoformat()


def recorded(stack: RunningStack, event: str) -> Session:
    """The event was live and is over; its segments and its final manifest are in the bucket."""
    program = ProgramKey("default", event)
    made = session(program, "i1", *encode(LENGTH_S, gop=FPS))
    small = session(program, "i1", encode(LENGTH_S, gop=FPS, size="160x90")[0])
    (rung,) = small.manifest.renditions
    rung = rung.model_copy(update={"name": "240p", "width": 160, "height": 90})
    renditions = (*made.manifest.renditions, rung)
    made.manifest = made.manifest.model_copy(update={"renditions": renditions})
    made.objects |= {key.replace("/video/", "/240p/"): data for key, data in small.objects.items()}
    engine = sync_engine(stack.endpoints.database_url)
    with Rows(engine) as rows, rows.begin():
        advance_event(rows, event, Trigger.PROGRAM_LIVE, EPOCH_MS, by=Actor.MEDIA_NODE)
        over_ms = EPOCH_MS + round(LENGTH_S * 1000)
        advance_event(rows, event, Trigger.END, over_ms, by=Actor.API)
    engine.dispose()
    with ObjectStore.from_url(stack.endpoints.s3_url) as store:
        made.upload(store)
    return made


def caption(stack: RunningStack, made: Session, vod_key: str) -> None:
    """What the captions function leaves behind, without a model that hears."""
    key = parse(vod_key)
    assert isinstance(key, VodKey)
    whole = recording([made.manifest])
    texts = {
        "captions-0.vtt": webvtt([Cue(1000, 5000, ("Hello, world",))], media_ms=0),
        "captions.m3u8": vod.captions_playlist(whole, ["captions-0.vtt"]),
        WITH_CAPTIONS: vod.with_captions(whole, "en"),
        "captions.vtt": webvtt([Cue(1000, 5000, ("Hello, world",))]),
    }
    with ObjectStore.from_url(stack.endpoints.s3_url) as store:
        for name, text in texts.items():
            store.put(str(VodKey(key.program, key.content, name)), text.encode(), "text/vtt")
    asset = str(VodKey(key.program, key.content, "captions.vtt"))
    engine = sync_engine(stack.endpoints.database_url)
    with Rows(engine) as rows, rows.begin():
        job = rows.query(Job).where(Job.event == key.program.event, Job.function == "archive").one()
        rows.add(
            Asset(
                id=asset_id(asset), project="default", event=key.program.event, feed="main",
                kind="captions", key=asset, content_type="text/vtt", bytes=1, duration_ms=12_000,
                detail={"playlist": WITH_CAPTIONS}, job=job.id, created_ms=EPOCH_MS,
            )
        )  # fmt: skip
    engine.dispose()


@pytest.fixture(scope="module")
def over(studio: Studio, stack: RunningStack) -> dict[str, Any]:
    """An event for holders of tokens, recorded, with everything that a page can show."""
    event = studio.schedule(name="Launch day: the long walk", access="token")
    path = f"/v1/events/{event['id']}"
    for kind, title, start in (
        ("chapter", "Setting out", 0), ("poll", "Left or right?", 4), ("chapter", "The summit", 7),
    ):  # fmt: skip
        studio.call("POST", f"{path}/markers", kind=kind, title=title, start=clock(start))
    made = recorded(stack, event["id"])

    def kinds() -> dict[str, str]:
        items = studio.call("GET", f"{path}/assets")["items"]
        return {asset["kind"]: asset["key"] for asset in items}

    until("it is made", lambda: {"vod", "mp4", "poster", "storyboard"} <= kinds().keys())
    caption(stack, made, kinds()["vod"])
    chat = {"kind": "chat", "data": {"name": "Ada", "text": "What a view!"}}
    entries = [{"at_ms": EPOCH_MS + at, **chat} for at in (5_000, 8_000)]
    studio.call("PUT", f"{path}/replay", entries=entries)
    until("the replay is listed", lambda: "replay" in kinds())
    token = studio.call("POST", f"{path}/tokens", clips=True)
    return event | {"vod_url": token["vod_url"], "player_url": token["player_url"]}


async def opened(
    browser: Browser, url: str, width: int = 1100, height: int = 900
) -> tuple[Page, list[str]]:
    """The page, and what it complains of."""
    page = await browser.new_page(viewport={"width": width, "height": height})
    troubles: list[str] = []
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    await page.goto(url)
    return page, troubles


async def place(page: Page) -> float:
    return float(await page.evaluate("livepath.video.currentTime"))


async def until_place(page: Page, least: float, most: float) -> None:
    await page.wait_for_function(
        "([least, most]) => !livepath.video.seeking && livepath.video.currentTime >= least"
        " && livepath.video.currentTime < most",
        arg=[least, most],
        timeout=TIMEOUT_MS,
    )


async def hover(page: Page, share: float) -> None:
    bar = await page.locator("#scrub").bounding_box()
    assert bar is not None
    await page.mouse.move(bar["x"] + bar["width"] * share, bar["y"] + bar["height"] / 2)


async def test_a_recording_plays_with_all_that_belongs_to_it(
    browser: Browser, over: dict[str, Any], tmp_path: Path
) -> None:
    page, troubles = await opened(browser, over["vod_url"])
    await page.locator("#start").click(timeout=TIMEOUT_MS)
    await until_playing(page)
    assert abs(await page.evaluate("livepath.video.duration") - LENGTH_S) < 0.2

    # Pictures of the place under the pointer, from the sheet that the storyboard function drew.
    await hover(page, 0.75)
    await expect(page.locator("#preview-place")).to_have_text("0:09")
    await expect(page.locator("#preview-chapter")).to_have_text("The summit")
    picture = page.locator("#preview-picture")
    assert "sheet-0.jpg" in await picture.evaluate("node => node.style.backgroundImage")
    size = await picture.evaluate("""async (node) => {
        const image = new Image();
        image.src = node.style.backgroundImage.slice(5, -2);
        await image.decode();
        return [image.naturalWidth, node.clientWidth, node.style.backgroundPosition];
    }""")
    assert size[0] >= 5 * size[1]
    assert size[2] == f"-{4 * size[1]}px 0px"
    (mark,) = await page.locator("#scrub-marks span").all()
    assert (await mark.get_attribute("style") or "").startswith(("left: 57.", "left: 58."))
    await page.screenshot(path=tmp_path / "vod.png")

    # Seeking: by the bar, by keys, by a chapter.
    await page.mouse.down()
    await page.mouse.up()
    await until_place(page, 8.5, 11)
    await page.locator("#seek").press("Home")
    await until_place(page, 0, 2)
    chapters = page.locator("#chapters button")
    assert await chapters.all_inner_texts() == ["0:00\nSetting out", "0:07\nThe summit"]
    await chapters.nth(1).click()
    await until_place(page, 7, 9)
    await expect(chapters.nth(1)).to_have_attribute("aria-current", "true")
    await page.keyboard.press("k")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()

    # What happened is listed up to the place that is shown, after a seek and as playback passes it.
    lines = page.locator("#replay li")
    await page.evaluate("livepath.player.seek(6)")
    await expect(lines).to_have_count(2)
    assert "Left or right?" in await lines.nth(0).inner_text()
    assert "What a view!" in await lines.nth(1).inner_text()
    await page.keyboard.press("0")
    await expect(lines).to_have_count(0)
    await page.evaluate("livepath.player.seek(4.5)")
    await expect(lines).to_have_count(1)
    await page.keyboard.press("k")
    await expect(lines).to_have_count(2, timeout=TIMEOUT_MS)

    # Captions.
    await page.evaluate("livepath.player.seek(1.2)")
    await page.keyboard.press("c")
    await page.wait_for_function(
        "() => [...livepath.video.textTracks].some((track) => track.mode === 'showing'"
        " && [...(track.activeCues ?? [])].some((cue) => cue.text === 'Hello, world'))",
        timeout=TIMEOUT_MS,
    )
    assert await page.locator("#captions").input_value() == "0"
    await page.keyboard.press("c")
    assert await page.locator("#captions").input_value() == "-1"

    # Quality, speed, and a file to keep.
    quality = page.locator("#quality option")
    assert await quality.all_inner_texts() == ["Auto", "180p", "90p"]
    await page.locator("#quality").select_option(label="90p")
    await page.wait_for_function("() => livepath.video.videoWidth === 160", timeout=TIMEOUT_MS)
    await page.locator("#quality").select_option(label="Auto")
    await page.locator("#speed").select_option("2")
    assert await page.evaluate("livepath.video.playbackRate") == 2
    download = page.get_by_role("link", name="Download MP4")
    url = await download.get_attribute("href")
    assert url is not None
    with httpx2.Client(trust_env=False) as client:
        answer = client.get(url, headers={"Range": "bytes=4-7"})
    assert (answer.status_code, answer.content) == (206, b"ftyp")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert troubles == []


async def test_a_viewer_whose_token_allows_it_makes_a_clip(
    browser: Browser, over: dict[str, Any], tmp_path: Path
) -> None:
    page, troubles = await opened(browser, over["vod_url"])
    await page.locator("#start").wait_for(timeout=TIMEOUT_MS)
    await page.get_by_role("button", name="Make a clip").click()
    for key, seconds in (("i", 2), ("o", 4)):
        await page.evaluate("(at) => livepath.player.seek(at)", seconds)
        await until_place(page, seconds, seconds + 0.1)
        await page.locator("h1").click()  # keys are no text for the title
        await page.keyboard.press(key)
    await expect(page.locator("#clip-note")).to_have_text("2.0 s long.")
    await page.get_by_label("Title").fill("The turn")
    await page.get_by_label("Exact, a file to keep").check()
    await page.locator("#clip-make").click()
    await expect(page.locator("#clip-state")).to_have_text("The clip is there.", timeout=TIMEOUT_MS)
    url = await page.get_by_role("link", name="Download the clip").get_attribute("href")
    assert url is not None
    with httpx2.Client(trust_env=False) as client:
        film = client.get(url).content
    with av.open(io.BytesIO(film), "r") as container:
        assert len(list(container.decode(video=0))) == 2 * FPS
    await page.screenshot(path=tmp_path / "clip.png", full_page=True)

    await page.get_by_role("link", name="Open the clip").click()
    await expect(page.locator("h1")).to_have_text("The turn", timeout=TIMEOUT_MS)
    await page.locator("#start").click(timeout=TIMEOUT_MS)
    await page.wait_for_function("() => livepath.video.ended", timeout=TIMEOUT_MS)
    assert abs(await page.evaluate("livepath.video.duration") - 2) < 0.1
    assert troubles == []


async def test_an_instant_clip_plays_its_stretch_alone(
    browser: Browser, studio: Studio, over: dict[str, Any]
) -> None:
    path = f"/v1/events/{over['id']}/clips"
    clip = studio.call("POST", path, start=5.5, end=6.5)
    until(
        "the clip is there",
        lambda: studio.call("GET", f"{path}/{clip['id']}")["state"] == "succeeded",
    )
    base, _, token = over["vod_url"].partition("#")
    page, _ = await opened(browser, f"{base}?clip={clip['id']}#{token}")
    await page.locator("#start").click(timeout=TIMEOUT_MS)
    await page.wait_for_function(
        "() => livepath.video.paused && livepath.video.played.length > 0", timeout=TIMEOUT_MS
    )
    # It lies 1.5 s into its playlist.
    await until_place(page, 2.4, 2.6)
    assert 1.4 < await page.evaluate("livepath.video.played.start(0)") < 1.6


async def test_a_phone_has_room_for_everything(
    browser: Browser, over: dict[str, Any], tmp_path: Path
) -> None:
    page, _ = await opened(browser, over["vod_url"], width=360, height=700)
    await page.locator("#start").click(timeout=TIMEOUT_MS)
    await until_playing(page, 0.5)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.screenshot(path=tmp_path / "phone.png")
    for name in ("#play", "#mute", "#captions", "#speed", "#quality", "#fullscreen", "#seek"):
        box = await page.locator(name).bounding_box()
        assert box is not None, name
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= 360, name
    tops = [await page.locator(name).bounding_box() for name in ("#play", "#fullscreen")]
    assert len({round(box["y"]) for box in tops if box}) == 1


async def test_without_a_token_the_page_says_what_is_missing(
    browser: Browser, over: dict[str, Any]
) -> None:
    page, _ = await opened(browser, over["vod_url"].partition("#")[0])
    await overlay_title(page, "This recording needs a personal link")


async def test_the_page_goes_over_to_the_recording_when_it_is_there(
    browser: Browser, over: dict[str, Any]
) -> None:
    async def not_yet(route: Route) -> None:
        said = await (await route.fetch()).json()
        await route.fulfill(json=said | {"status": "making", "hls_url": None})

    page = await browser.new_page()
    await page.route("**/recording", not_yet)
    await page.goto(over["vod_url"])
    await overlay_title(page, "The recording is being made")
    await page.unroute("**/recording")
    await page.locator("#start").wait_for(timeout=TIMEOUT_MS)


async def test_the_watch_page_leads_to_the_recording(
    browser: Browser, over: dict[str, Any]
) -> None:
    page, _ = await opened(browser, over["player_url"])
    await page.get_by_role("button", name="Watch the recording").click(timeout=TIMEOUT_MS)
    await page.wait_for_url("**/vod/**")
    await page.locator("#start").wait_for(timeout=TIMEOUT_MS)
