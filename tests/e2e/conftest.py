"""A browser, and events that are really on the air.

A browser is started once for all tests: what a test opens in it is closed after it. An event is on
the air for the tests of one file, since an encoder takes its share of the machine from whatever
comes later. A test that breaks its stack has one of its own.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright

from benchmarks.publisher import Publisher
from benchmarks.stamped import programme
from infra.demo.encoder import Encoder
from infra.demo.programme import Programme
from infra.web import build
from tests.support.stack import RunningStack
from tests.support.webrtc import SMALL

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
LIVE_WITHIN_S = 90.0
"""Patience alone: nothing is asserted about how long it takes."""
NOT_OVER_S = 600
"""Of an event that nobody watches any more: its archive would keep others' jobs waiting."""
ASKED, AGAIN_S = 3, 1.0
# Small, so that encoder and browser, which both work in software here, leave room for the rest.
SIZE, FPS = (640, 360), 30


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e")
    group.addoption("--outage-seconds", type=float, default=20.0, help="how long S3 stays away")
    group.addoption("--players-seconds", type=float, default=45.0, help="how long players play")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def player_libraries() -> None:
    """hls.js, as `make player` installs it."""
    build.install()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plain_chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await _chromium(playwright)
    yield browser
    await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def camera_chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    browser = await _chromium(playwright, *flags)
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(plain_chromium: Browser, player_libraries: None) -> AsyncIterator[Browser]:
    """Without a page, and without one again afterwards."""
    yield plain_chromium
    await _close_pages(plain_chromium)


@pytest_asyncio.fixture(loop_scope="session")
async def camera_browser(camera_chromium: Browser) -> AsyncIterator[Browser]:
    """With a made-up camera and microphone, and a user who grants them."""
    yield camera_chromium
    await _close_pages(camera_chromium)


async def _chromium(playwright: Playwright, *flags: str) -> Browser:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    # Where the distribution has no usable package, bootstrap installs playwright's own.
    own = Path(playwright.chromium.executable_path)
    assert chromium or own.exists(), "no Chromium: run scripts/bootstrap --test"
    return await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *flags])


async def _close_pages(browser: Browser) -> None:
    for context in browser.contexts:
        await context.close()


class Studio:
    """Schedules events and puts a real encoder on them, through the public API only."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def call(self, method: str, path: str, **json: Any) -> dict[str, Any]:
        """Asked again, as the API says, when the machine is too busy for its database."""
        for _ in range(ASKED):
            response = self._client.request(method, path, json=json or None)
            if response.status_code != 503:
                break
            time.sleep(AGAIN_S)
        assert response.is_success, response.text
        body: dict[str, Any] = response.json()
        return body

    def schedule(self, **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/v1/events", **({"name": "Launch day"} | fields))

    def state(self, event: dict[str, Any]) -> str:
        return str(self.call("GET", f"/v1/events/{event['id']}")["state"])

    def wait_for_state(
        self, event: dict[str, Any], *states: str, encoder: "subprocess.Popen[bytes] | None" = None
    ) -> None:
        """`encoder`: whose end would make waiting pointless."""

        def reached() -> bool:
            ended = encoder and encoder.poll()
            assert ended is None, f"the encoder of {event['id']} ended with status {ended}"
            return self.state(event) in states

        until(f"{event['id']} is {' or '.join(states)}", reached)

    @contextmanager
    def publishing(self, event: dict[str, Any]) -> Iterator[Encoder]:
        """A real ffmpeg publishes while the block runs, which starts when the event is live."""
        stop = threading.Event()
        failures: list[BaseException] = []

        def feed(encoder: Encoder) -> None:
            try:
                encoder.publish(3600, stop.is_set)
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                failures.append(error)

        url = event["ingest"]["srt"]["url"]
        with Encoder(url, Programme(*SIZE, FPS), preset="ultrafast") as encoder:
            thread = threading.Thread(target=feed, args=(encoder,), name="encoder")
            thread.start()
            try:
                self.wait_for_state(event, "live")
                yield encoder
            finally:
                stop.set()
                thread.join()
        if failures:
            raise failures[0]


def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIVE_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIVE_WITHIN_S:g} s: {what}"
        time.sleep(0.1)


@contextmanager
def studio_of(stack: RunningStack) -> Iterator[Studio]:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    url = stack.endpoints.control_url
    with httpx2.Client(base_url=url, headers=headers, timeout=20.0, trust_env=False) as client:
        yield Studio(client)


@pytest.fixture(scope="session")
def studio(stack: RunningStack) -> Iterator[Studio]:
    with studio_of(stack) as studio:
        yield studio


@pytest.fixture(scope="module")
def on_air(studio: Studio, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """One public event, named after the file, that is live as long as its tests want to watch."""
    name = f"Launch day: {request.path.stem}"
    event = studio.schedule(name=name, reconnect_window_s=NOT_OVER_S)
    with studio.publishing(event) as encoder:
        yield event | {"encoder": encoder}


@pytest.fixture(scope="module")
def ticketed(studio: Studio) -> Iterator[dict[str, Any]]:
    """One event that needs a token and is live, with a programme that was encoded before."""
    event = studio.schedule(name="Members only", access="token", reconnect_window_s=NOT_OVER_S)
    with Publisher(event["ingest"]["srt"]["url"], path=programme(SMALL)):
        studio.wait_for_state(event, "live")
        yield event
