"""An event goes from one media node to another, and who watches it hardly notices.

Two media nodes behind one control process; viewers and encoders know of the first one.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from benchmarks.publisher import Publisher
from benchmarks.stamped import programme
from infra.client import AsyncClient
from infra.client.models import Node
from infra.keys import ProgramKey
from tests.e2e.conftest import Studio, studio_of, until
from tests.e2e.watching import COUNT_FRAMES, TIMEOUT_MS, over, until_playing
from tests.support.medianode import MediaProcess, free_udp_port
from tests.support.stack import RunningStack, stack_on_thread
from tests.support.valkey import free_port
from tests.support.webrtc import SMALL

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]
A, B = "media-a", "media-b"
MOST_MS = 1200
"""Between two frames. Joining anew takes a second and more; a move is a matter of a few frames."""
WATCHES = """port => performance.getEntriesByType("resource").some(
    one => one.name.includes(`:${port}/live/`) && one.name.endsWith("/whep"))"""


@dataclass
class Site:
    """Control, and two media nodes that it knows by the bus."""

    stack: RunningStack
    studio: Studio
    client: AsyncClient
    nodes: dict[str, MediaProcess]
    encoders: ExitStack = field(default_factory=ExitStack)

    def publish(self, event: dict[str, Any], node: str) -> ExitStack:
        """An encoder that was led to this node, as another answer of a name service does; close it
        to stop it."""
        url = event["ingest"]["srt"]["url"]
        there = url.replace(f":{self.nodes[A].srt_port}?", f":{self.nodes[node].srt_port}?")
        encoder = self.encoders.enter_context(ExitStack())
        encoder.enter_context(Publisher(there, path=programme(SMALL)))
        return encoder

    async def node(self, name: str) -> Node:
        return await self.client.nodes.get(name)

    async def until(self, page: Page, name: str, **wanted: Any) -> Node:
        """A node that has told of itself so, while the page's clock goes on."""
        found = None
        for _ in range(300):
            found = await self.node(name)
            if all(getattr(found, field) == value for field, value in wanted.items()):
                return found
            await page.wait_for_timeout(200)
        pytest.fail(f"{name} did not become {wanted}: {found}")


@pytest.fixture
def site_parts(tmp_path: Path) -> Iterator[tuple[RunningStack, dict[str, MediaProcess]]]:
    ports = {name: free_port() for name in (A, B)}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    srt_port = free_udp_port()
    environment = {
        "LIVEPATH_MEDIA_PUBLIC_URL": urls[A],
        "LIVEPATH_SRT_PUBLIC_URL": f"srt://127.0.0.1:{srt_port}",
    }
    only = frozenset({"valkey-bus", "control"})
    with ExitStack() as stack:
        running = stack.enter_context(
            stack_on_thread(tmp_path / "control", only=only, environment=environment)
        )
        nodes = {}
        for name in (A, B):
            node = MediaProcess(
                tmp_path / name, bus_url=running.endpoints.bus_url, node=name, node_url=urls[name]
            )
            node.http_port = ports[name]
            nodes[name] = node
        nodes[A].srt_port = srt_port
        for node in nodes.values():
            stack.enter_context(node)
            node.start()
        yield running, nodes


@pytest_asyncio.fixture(loop_scope="session")
async def site(
    site_parts: tuple[RunningStack, dict[str, MediaProcess]],
) -> AsyncIterator[Site]:
    stack, nodes = site_parts
    with studio_of(stack) as studio:
        async with AsyncClient(stack.endpoints.control_url, stack.api_key) as client:
            made = Site(stack, studio, client, nodes)
            with made.encoders:
                yield made


async def watched(site: Site, browser: Browser, event: dict[str, Any]) -> Page:
    """A page that plays over WebRTC from the first node."""
    page = await browser.new_page(viewport={"width": 900, "height": 700})
    await page.goto(over("webrtc", event["playback"]["player_url"]))
    await until_playing(page)
    await site.until(page, A, viewers=1)
    await page.evaluate(COUNT_FRAMES)
    return page


async def plays_on(page: Page, frames: int = 60) -> None:
    shown = await page.evaluate("window.gaps.length")
    await page.wait_for_function(f"() => window.gaps.length > {shown + frames}", timeout=TIMEOUT_MS)


async def test_a_node_is_emptied_and_stopped_and_its_event_goes_on(
    site: Site, browser: Browser
) -> None:
    event = site.studio.schedule()
    first = site.publish(event, A)
    site.studio.wait_for_state(event, "live")
    site.publish(event, B)
    page = await watched(site, browser, event)
    await site.until(page, B, events=1, publishers=1)
    drained = await site.client.nodes.drain(A)
    assert drained.draining
    await site.until(page, B, viewers=1)
    await site.until(page, A, viewers=0)
    await plays_on(page)
    assert max(await page.evaluate("window.gaps")) < MOST_MS
    assert await page.evaluate("livepath.playback.mode") == "webrtc"
    assert await page.evaluate(WATCHES, site.nodes[B].http_port)

    first.close()  # whose event has its encoder at the other node
    assert (await site.until(page, A, empty=True)).draining
    assert site.nodes[A].terminate() == 0
    await plays_on(page)
    assert site.studio.state(event) == "live"
    site.nodes[A].start()
    assert not (await site.until(page, A, draining=False)).draining
    await plays_on(page)
    assert max(await page.evaluate("window.gaps")) < MOST_MS
    assert site.studio.state(event) == "live"
    assert site.nodes[A].troubles() == []
    assert site.nodes[B].troubles() == []


async def test_publishers_are_sent_to_another_node_and_viewers_follow_them(
    site: Site, browser: Browser
) -> None:
    event = site.studio.schedule(reconnect_window_s=60)
    encoder = site.publish(event, A)
    site.studio.wait_for_state(event, "live")
    page = await watched(site, browser, event)
    key = ProgramKey("default", event["id"])
    before = site.nodes[A].checkpoint(key)["incarnation"]
    await site.client.nodes.drain(A, publishers="move")
    await site.until(page, A, publishers=0)
    encoder.close()
    site.publish(event, B)
    until("it is live again", lambda: site.studio.state(event) == "live")
    await site.until(page, B, viewers=1)
    await site.client.nodes.wait_until_empty(A)
    await plays_on(page)
    assert await page.evaluate("livepath.playback.mode") == "webrtc"
    # What was on the first node is a part of the same programme.
    assert before in site.nodes[B].checkpoint(key)["previous"]
    with pytest.raises(FileNotFoundError):
        site.nodes[A].checkpoint(key)
    assert site.studio.state(event) == "live"


async def test_viewers_without_another_node_go_on_by_hls(site: Site, browser: Browser) -> None:
    event = site.studio.schedule()
    site.publish(event, A)
    site.studio.wait_for_state(event, "live")
    page = await browser.new_page()
    await page.goto(event["playback"]["player_url"])
    await until_playing(page)
    await site.until(page, A, viewers=1)
    await site.client.nodes.drain(A, hls_after_s=0)
    await site.until(page, A, viewers=0)
    await page.wait_for_function("() => livepath.playback.mode === 'hls'", timeout=TIMEOUT_MS)
    await until_playing(page)
    await site.client.nodes.undrain(A)
    await site.until(page, A, draining=False)
    await page.evaluate("livepath.playback.tryRealtime()")
    await site.until(page, A, viewers=1)
