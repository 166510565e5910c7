"""The operator page in real Chromium, over a stack with an event that is really on the air."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect
from sqlalchemy.orm import Session as Rows

from infra.db.engine import sync_engine
from infra.db.jobs import Job, JobAttempt
from tests.e2e.barriers import barriers
from tests.e2e.conftest import Studio
from tests.support.receiver import Receiver
from tests.support.stack import RunningStack

# The browser lives longer than a test, on a loop that does.
pytestmark = pytest.mark.asyncio(loop_scope="session")
TIMEOUT_MS = 40_000
DESK, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 780}
HOSTILE = '<img src=x onerror="document.title=1">'
NOBODYS = "nobody"
"""A queue without workers."""


class Desk:
    """One page, what it complained of, and its key."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = f"{url}/operator"
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(error.stack or str(error)))
        page.set_default_timeout(TIMEOUT_MS)
        expect.set_options(timeout=TIMEOUT_MS)

    @classmethod
    async def open(cls, browser: Browser, stack: RunningStack, **context: Any) -> "Desk":
        made = await browser.new_context(viewport=DESK, **context)
        desk = cls(await made.new_page(), stack.endpoints.control_url)
        await desk.page.goto(desk.url)
        return desk

    async def sign_in(self, key: str) -> None:
        await self.page.get_by_label("API key").fill(key)
        await self.page.get_by_role("button", name="Sign in").press("Enter")

    async def go(self, name: str) -> None:
        sections = self.page.get_by_role("navigation", name="Sections")
        await sections.get_by_role("link", name=name).click()
        await expect(self.page.get_by_role("heading", name=name, level=1)).to_be_focused()

    def card(self, name: str) -> Locator:
        return self.page.get_by_role("listitem").filter(
            has=self.page.get_by_role("heading", name=name)
        )

    async def clean(self) -> None:
        """No barrier, no error, nothing wider than the screen."""
        assert await barriers(self.page) == []
        assert self.errors == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(wide) <= 0


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser: Browser, stack: RunningStack) -> AsyncIterator[Desk]:
    made = await Desk.open(browser, stack, color_scheme="dark")
    await made.sign_in(stack.api_key)
    await expect(made.page.get_by_role("heading", name="Events", level=1)).to_be_visible()
    yield made


def bury(stack: RunningStack, event: str) -> None:
    """A job that gave up."""
    engine = sync_engine(stack.endpoints.database_url)
    with Rows(engine) as rows, rows.begin():
        job = Job(
            id=f"job_{event}", project="default", event=event, feed="main", function="highlights",
            input_key=f"live/default/{event}/main/i1/manifest.json", input_version="1",
            queue=NOBODYS, state="dead", attempt_count=3, max_attempts=3, progress=420, fence=1,
            error="the object is no recording", outputs={}, cost={}, created_ms=1, updated_ms=1,
            started_ms=1, finished_ms=1,
        )  # fmt: skip
        rows.add(job)
        rows.flush()
        rows.add(
            JobAttempt(
                id=f"{job.id}-1", project="default", job=job.id, number=1, worker="w1",
                started_ms=1, ended_ms=1500, outcome="failed", log="line one\nline two",
            )
        )  # fmt: skip
    engine.dispose()


async def test_a_key_that_does_not_suffice_says_so(
    browser: Browser, stack: RunningStack, studio: Studio
) -> None:
    desk = await Desk.open(browser, stack)
    trouble = desk.page.get_by_role("alert")
    await expect(desk.page.get_by_label("API key")).to_be_focused()
    await desk.sign_in("lp_nobodys")
    await expect(trouble).to_contain_text("does not open anything here")
    key = studio.call("POST", "/v1/keys", name="jobs", scopes=["jobs:read"])["secret"]
    await desk.sign_in(key)
    await expect(trouble).to_contain_text("lacks the scope events:read")
    await desk.clean()
    assert await desk.page.evaluate("sessionStorage.length") == 0
    key = studio.call("POST", "/v1/keys", name="events", scopes=["events:read"])["secret"]
    await desk.sign_in(key)
    await expect(desk.page.get_by_text("Looks every few seconds")).to_be_visible()
    await desk.go("Jobs")
    await expect(desk.page.get_by_text("lacks the scope jobs:read")).to_be_visible()
    await desk.page.get_by_role("button", name="Sign out").click()
    await desk.page.reload()
    await expect(desk.page.get_by_label("API key")).to_be_focused()


async def test_events_are_listed_by_state_and_change_as_they_do(
    desk: Desk, studio: Studio, on_air: dict[str, Any], tmp_path: Path
) -> None:
    hostile = await asyncio.to_thread(studio.schedule, name=HOSTILE)
    late = await asyncio.to_thread(
        studio.schedule, name="Late start", starts_at="2020-01-01T00:00:00Z"
    )
    page = desk.page
    await expect(desk.card(on_air["name"])).to_contain_text("Live")
    # A reading comes every five seconds, by the stream.
    await expect(desk.card(on_air["name"])).to_contain_text("bit/s")
    await expect(desk.card(on_air["name"])).to_contain_text("by WebRTC")
    wanted = page.get_by_role("region", name="Needs attention")
    await expect(wanted.get_by_role("link", name="Late start")).to_be_visible()
    assert await page.get_by_text(HOSTILE).count() == 1
    assert await page.locator("main img").count() == 0
    # The focus stays where it is when the list changes around it.
    link = page.get_by_role("link", name=HOSTILE)
    await link.focus()
    for event in (late, hostile):
        await asyncio.to_thread(studio.call, "DELETE", f"/v1/events/{event['id']}")
        if event is late:
            await expect(wanted.get_by_role("link", name="Late start")).to_have_count(0)
            await expect(link).to_be_focused()
    await expect(desk.card(HOSTILE)).to_contain_text("Cancelled")
    await desk.clean()
    await page.screenshot(path=tmp_path / "operator.png")


async def test_an_event_shows_how_it_does_at_a_desk_and_on_a_phone(
    desk: Desk, studio: Studio, on_air: dict[str, Any], tmp_path: Path
) -> None:
    page = desk.page
    await page.get_by_role("link", name=on_air["name"]).first.click()
    await expect(page.get_by_role("heading", name=on_air["name"])).to_be_focused()
    await expect(page.get_by_role("row", name="Primary, SRT")).to_contain_text("Mbit/s")
    await expect(page.get_by_role("row", name="Packaged for LL-HLS")).to_contain_text("ms")
    bitrate = page.get_by_role("img", name="Bitrate.")
    await expect(bitrate.locator("polyline").first).to_be_attached()
    await expect(page.get_by_role("img", name="Picture of")).to_be_visible()
    await desk.clean()
    await page.screenshot(path=tmp_path / "operator-event.png")
    replace = page.get_by_role("button", name="Replace the stream key")
    await replace.press("Enter")
    await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    assert await barriers(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(replace).to_be_focused()
    await page.get_by_text("Ingest addresses").click()
    shown = await asyncio.to_thread(studio.call, "GET", f"/v1/events/{on_air['id']}")
    await expect(page.get_by_label("SRT", exact=True)).to_have_value(shown["ingest"]["srt"]["url"])
    await page.set_viewport_size(PHONE)
    await page.emulate_media(color_scheme="light")
    await desk.clean()
    await page.get_by_text("Ingest addresses").click()
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(path=tmp_path / "operator-phone.png")


async def test_an_event_is_ended_after_a_question(desk: Desk, studio: Studio) -> None:
    event = await asyncio.to_thread(studio.schedule, name="Short", access="token")
    page = desk.page
    await page.goto(f"{desk.url}#/events/{event['id']}")
    await page.get_by_role("button", name="Replace the stream key").click()
    await page.get_by_label("Disconnect everybody").check()
    await page.get_by_role("button", name="Replace it").click()
    await expect(page.get_by_text("has a new stream key.").first).to_be_visible()
    after = await asyncio.to_thread(studio.call, "GET", f"/v1/events/{event['id']}")
    assert after["ingest"]["whip"]["token"] != event["ingest"]["whip"]["token"]
    await page.get_by_role("button", name="Cancel the event").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel the event").click()
    await expect(page.locator("#view h1 + p")).to_contain_text("Cancelled")
    await expect(page.get_by_role("button", name="Cancel the event")).to_have_count(0)
    assert await asyncio.to_thread(studio.state, event) == "cancelled"


async def test_a_dead_job_gets_another_round(
    desk: Desk, studio: Studio, stack: RunningStack
) -> None:
    event = (await asyncio.to_thread(studio.schedule, name="With a dead job"))["id"]
    await asyncio.to_thread(bury, stack, event)
    await desk.page.reload()
    await desk.go("Jobs")
    dead = desk.page.get_by_role("region", name="Jobs that gave up")
    row = dead.locator(f"[data-job=job_{event}]")
    await expect(row).to_contain_text("the object is no recording")
    await row.locator("summary").click()
    await expect(row).to_contain_text("line two")
    await desk.clean()
    await row.get_by_role("button", name="Replay").press("Enter")
    await expect(row).to_have_count(0)
    job = await asyncio.to_thread(studio.call, "GET", f"/v1/jobs/job_{event}")
    assert job["state"] == "queued"
    await desk.page.set_viewport_size(PHONE)
    await desk.clean()
    await asyncio.to_thread(studio.call, "POST", f"/v1/jobs/job_{event}/cancel")


async def test_deliveries_are_listed_and_sent_once_more(desk: Desk, studio: Studio) -> None:
    page = desk.page
    async with Receiver() as receiver:
        made = await asyncio.to_thread(
            studio.call, "POST", "/v1/webhooks", url=receiver.url, types=["webhook.*"],
            description="Scoreboard",
        )  # fmt: skip
        await page.reload()
        await desk.go("Webhooks")
        hook = desk.card("Scoreboard")
        await hook.get_by_role("button", name="Send a test").click()
        await hook.locator("summary").click()
        row = hook.get_by_role("row", name="webhook.test")
        await expect(row).to_contain_text("204")
        await desk.clean()
        await row.get_by_role("button", name="Replay").click()
        await expect(page.get_by_text("is delivered once more").first).to_be_visible()
        for _ in range(100):
            if len(receiver.received) == 2:
                break
            await page.wait_for_timeout(100)
        first, second = receiver.received
        assert first.id == second.id
        await page.set_viewport_size(PHONE)
        await desk.clean()
        await asyncio.to_thread(studio._client.delete, f"/v1/webhooks/{made['id']}")
