"""A media process that ends while it is watched, and comes back on the same ports."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webrtc import Node, join, on_air, until_playing, watching

pytestmark = pytest.mark.integration


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with on_air(tmp_path / "data") as running:
        # A restart is to find its ports free again.
        running.media.settings["webrtc_port"] = str(running.webrtc_port)
        yield running


def half_an_offer(node: Node, path: str) -> socket.socket:
    """A client that has announced more than it sends."""
    client = socket.create_connection(("127.0.0.1", node.media.http_port))
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/sdp\r\n"
    head += f"authorization: Bearer {node.whip_token}\r\ncontent-length: 5000\r\n\r\n"
    client.sendall(head.encode() + b"v=0\r\n")
    return client


def test_a_stop_tells_viewers_and_waits_for_nobody(node: Node) -> None:
    with (
        watching(node.whep_url) as (viewers, viewer),
        half_an_offer(node, node.whep_url.removeprefix(node.origin)),
        half_an_offer(node, node.whip_url.removeprefix(node.origin)),
    ):
        status: list[int] = []
        stopping = threading.Thread(target=lambda: status.append(node.media.terminate()))
        stopping.start()
        assert viewers.run(10.0, lambda: not stopping.is_alive())
        viewers.run(0.5)
        assert status == [0]
        assert viewer.probe is not None
        assert viewer.probe.left
        assert viewer.failure == "the server closed the session"
        assert node.media.troubles() == []
        assert not [r for r in node.media.log if "cut off" in str(r.get("event"))]


def test_after_a_crash_viewers_find_it_where_it_was(node: Node) -> None:
    with watching(node.whep_url) as (viewers, viewer):
        before = node.webrtc_port
        node.media.kill()
        node.media.start()
        assert node.webrtc_port == before
        viewers.run(0.2)
        assert viewer.failure is None  # it was told nothing, and what it sends is ignored
        node.until_on_air()
        until_playing(viewers, join(viewers, node.whep_url))
        assert node.media.troubles() == []
