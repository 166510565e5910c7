"""A viewer behind a network that lets nothing through but its TURN server: coturn."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection

from tests.support import turn
from tests.support.aiortc_client import exchanged, viewing
from tests.support.webrtc import SMALL, Node, on_air

pytestmark = pytest.mark.skipif(not turn.available(), reason="no coturn; install Debian's coturn")
LINK = re.compile(
    r'<(?P<url>turn:[^>]+)>; rel="ice-server"; username="(?P<username>[^"]+)"; '
    r'credential="(?P<credential>[^"]+)"; credential-type="password"'
)


@pytest.fixture
def relay() -> Iterator[turn.Turn]:
    with turn.turn_server() as running:
        yield running


@pytest.fixture
def node(relay: turn.Turn, tmp_path: Path) -> Iterator[Node]:
    settings = {"turn_urls": relay.url, "turn_secret": turn.SECRET}
    with on_air(tmp_path / "data", SMALL, **settings) as running:
        yield running


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
    configuration = RTCConfiguration(
        iceServers=[await offered(node)], iceTransportPolicy=RTCIceTransportPolicy.RELAY
    )
    async with viewing(node.whep_url, configuration) as watching:
        pictures = await watching.frames("video", 30)
    assert {(p.width, p.height) for p in pictures} == {(640, 360)}
    assert relay.relayed
