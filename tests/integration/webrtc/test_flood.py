"""Garbage at the WebRTC port of a media process while a programme is live and watched."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.accounting import socket_drops
from tests.support.flood import RATE, flooding
from tests.support.measured import measured
from tests.support.webrtc import (
    Node,
    decodable_share,
    join,
    on_air,
    shown_during,
    until_playing,
    watching,
)

pytestmark = [pytest.mark.integration, pytest.mark.alone]
FLOODED_S = 4.0


def transport(node: Node) -> dict[str, float]:
    """Counters of the port by kind."""
    families = text_string_to_metric_families(node.media.get("/metrics").text)
    (found,) = (f for f in families if f.name == "livepath_webrtc_transport")
    return {s.labels["kind"]: s.value for s in found.samples if s.name.endswith("_total")}


def kernel(node: Node) -> list[str]:
    """What the sending threads count."""
    text = node.media.get("/metrics").text
    return [line for line in text.splitlines() if line.startswith("livepath_webrtc_")]


@measured
def test_ten_thousand_garbage_datagrams_a_second_cost_no_viewer_a_packet(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        on_air(tmp_path_factory.mktemp("node") / "data") as node,
        watching(node.whep_url, repairs=False) as (viewers, viewer),
    ):
        server = ("127.0.0.1", node.webrtc_port)
        with flooding(server, viewer.peer.socket) as flood:
            frames = shown_during(viewers, viewer, FLOODED_S)
            late = join(viewers, node.whep_url, repairs=False)
            until_playing(viewers, late)
            assert viewers.run(5.0, lambda: len(viewers.counts(late)) == 2)
            port = transport(node)
        assert flood.sent > FLOODED_S * RATE / 2
        dropped = {kind: count for kind, count in port.items() if kind.startswith("dropped-")}
        # Each kind was told apart and dropped, a stranger's and those under the viewer's address.
        assert sum(dropped.values()) > flood.sent / 4
        assert dropped.keys() >= {
            "dropped-stun-unknown-user",
            "dropped-stun-malformed",
            "dropped-dtls-of-stranger",
            "dropped-rtp-of-viewer",
            "dropped-rtcp-forged",
        }
        assert port["connected"] == 2
        assert not any(kind.startswith(("closed-", "dtls-failed")) for kind in port)
        assert socket_drops([viewer.peer.port, late.peer.port]) == 0
        for each in (viewer, late):
            counts = viewers.counts(each)
            assert len(counts) == 2
            missing = [s.highest - s.first + 1 - s.packets for s in counts]
            assert missing == [0, 0], (each.index, counts, kernel(node))
            assert each.failure is None
        # A frame that is not sent at all leaves no gap, but is counted.
        assert "livepath_webrtc_dropped_frames_total 0.0" in kernel(node)
        assert all(frame.decodable_ns for frame in frames)
        assert decodable_share(frames) > 0.97  # the publisher's own stamps are not to the frame
        assert node.media.troubles() == []
