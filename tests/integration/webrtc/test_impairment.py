"""A viewer behind a bad network, which the seeded relay makes the same every time.

The viewer asks for what it misses (NACK) and for a key frame when only that helps (PLI), as
browsers do; these tests look at what it could show, and when. `make load` runs them for longer.
"""

import statistics
import time
from collections.abc import Iterator

import pytest

from tests.support.measured import measured
from tests.support.network import CLEAN, Conditions
from tests.support.webrtc import (
    Node,
    behind_relay,
    decodable_share,
    delays_ms,
    frames_between,
    on_air,
    shown_during,
)

pytestmark = [pytest.mark.integration, pytest.mark.alone]
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with on_air(tmp_path_factory.mktemp("node") / "data") as running:
        yield running


@measured
def test_loss_and_jitter_cost_few_frames_and_the_delay_does_not_grow(node: Node) -> None:
    with behind_relay(node, seed=1) as (relay, viewers, viewer):
        relay.change(Conditions(loss=0.05, jitter_ms=50))
        frames = shown_during(viewers, viewer, 12)
        _, down = relay.counts()
        assert down.lost > 0.03 * down.received
        assert viewer.probe is not None
        assert viewer.probe.receiver.recovered > 20
        assert decodable_share(frames) >= 0.99
        delays = delays_ms(frames)
        third = len(delays) // 3
        first, last = statistics.median(delays[:third]), statistics.median(delays[-third:])
        assert last - first < 40


@measured
def test_a_burst_of_heavy_loss_is_over_a_second_after_it_ends(node: Node) -> None:
    with behind_relay(node, seed=2) as (relay, viewers, viewer):
        relay.change(Conditions(loss=0.3))
        viewers.run(5)
        relay.change(CLEAN)
        ended = time.time_ns()
        viewers.run(3)
        after = [f for f in frames_between(viewer, ended, time.time_ns()) if f.decodable_ns]
        playing = next(f for f in after if f.decodable_ns is not None)
        assert playing.decodable_ns is not None
        assert playing.decodable_ns - ended <= SECOND_NS
        rest = [f for f in after if f.complete_ns > ended + SECOND_NS]
        assert decodable_share(rest) == 1.0


@measured
def test_reordered_and_doubled_packets_cost_nothing(node: Node) -> None:
    with behind_relay(node, seed=3) as (relay, viewers, viewer):
        relay.change(Conditions(reorder=0.05, reorder_ms=15, duplicate=0.05))
        assert decodable_share(shown_during(viewers, viewer, 4)) == 1.0


@measured
def test_a_phone_that_changes_its_network_keeps_its_session(node: Node) -> None:
    with behind_relay(node, seed=4) as (relay, viewers, viewer):
        relay.rebind()
        # The next connectivity check, at most 4 s away, tells the server the new address.
        viewers.run(5)
        assert decodable_share(shown_during(viewers, viewer, 2)) == 1.0
        assert viewer.failure is None


@measured
def test_a_narrow_line_is_not_filled_beyond_what_it_carries(node: Node) -> None:
    """Twice the programme's rate: key frames queue, but nothing is lost for ever."""
    with behind_relay(node, seed=5) as (relay, viewers, viewer):
        relay.change(Conditions(rate_kbps=2000, queue_bytes=100_000))
        frames = shown_during(viewers, viewer, 4)
        assert decodable_share(frames) >= 0.99
        assert statistics.median(delays_ms(frames)[-30:]) < 1000
