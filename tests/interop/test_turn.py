"""A viewer behind a network that lets nothing through but its TURN server: coturn."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection
from playwright.async_api import Browser, Page

from tests.support import turn
from tests.support.aiortc_client import exchanged, viewing
from tests.support.missing import missing
from tests.support.webrtc import SMALL, Node, on_air
from tests.support.whep import whep_origin

pytestmark = [
    pytest.mark.skipif(not turn.available(), reason=missing("coturn")),
    # The browser lives longer than a test, on a loop that does.
    pytest.mark.asyncio(loop_scope="session"),
]
LINK = re.compile(
    r'<(?P<url>turn:[^>]+)>; rel="ice-server"; username="(?P<username>[^"]+)"; '
    r'credential="(?P<credential>[^"]+)"; credential-type="password"'
)
# The page does not know that its network lets nothing else through.
RELAY_ONLY = """
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); }
};
"""
WATCH = """
async url => {
  const { WhepSession } = await import("/static/whep.js");
  window.session = new WhepSession(url);
  await session.open();
  const video = document.createElement("video");
  Object.assign(video, { muted: true, autoplay: true, srcObject: session.stream });
  document.body.append(video);
}
"""
FACTS = """
async () => {
  const { path, decoded, width, height } = await session.stats();
  return { path, decoded, size: [width, height],
    servers: session.pc.getConfiguration().iceServers.map(server => server.urls).flat() };
}
"""
TIMEOUT_MS = 30_000


@pytest.fixture(scope="module")
def relay() -> Iterator[turn.Turn]:
    with turn.turn_server() as running:
        yield running


@pytest.fixture(scope="module")
def node(relay: turn.Turn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    settings = {"turn_urls": relay.url, "turn_secret": turn.SECRET}
    with on_air(tmp_path_factory.mktemp("relayed") / "data", SMALL, **settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def confined(chromium: Browser) -> AsyncIterator[Page]:
    """A page beside the product's scripts that sends and receives through TURN servers only."""
    async with whep_origin() as pages:
        page = await chromium.new_page()
        await page.add_init_script(RELAY_ONLY)
        await page.goto(f"{pages.url}/publish/ev_a")
        yield page


async def offered(node: Node) -> RTCIceServer:
    """What the node tells about TURN with an answer; aiortc must know it before it offers."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="recvonly")
    try:
        async with exchanged(connection, node.whep_url) as answer:
            links = answer.headers.get_list("link")
    finally:
        await connection.close()
    found = next((match for link in links if (match := LINK.fullmatch(link))), None)
    assert found, links
    return RTCIceServer(found["url"], found["username"], found["credential"])


async def test_a_viewer_with_nothing_but_relayed_candidates_watches(
    node: Node, relay: turn.Turn
) -> None:
    before = relay.allocations
    configuration = RTCConfiguration(
        iceServers=[await offered(node)], iceTransportPolicy=RTCIceTransportPolicy.RELAY
    )
    async with viewing(node.whep_url, configuration) as watching:
        pictures = await watching.frames("video", 30)
    assert {(p.width, p.height) for p in pictures} == {(640, 360)}
    assert relay.allocations > before


async def test_chromium_watches_through_the_server_that_the_reply_names(
    node: Node, relay: turn.Turn, confined: Page
) -> None:
    """With the script of the product's own page, which offers before it knows of any server."""
    before = relay.allocations
    await confined.evaluate(WATCH, node.whep_url)
    await confined.wait_for_function(
        "async () => (await session.stats())?.decoded >= 30", timeout=TIMEOUT_MS
    )
    found = await confined.evaluate(FACTS)
    assert found["servers"] == [relay.url]
    assert found["path"] == "relay/udp"
    assert found["size"] == [640, 360]
    assert relay.allocations > before
    await confined.evaluate("session.close()")
