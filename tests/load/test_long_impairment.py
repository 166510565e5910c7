"""What tests/integration/webrtc/test_impairment.py looks at for seconds, for a minute and more."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.network import CLEAN, Conditions
from tests.support.webrtc import (
    behind_relay,
    decodable_share,
    delays_ms,
    frames_between,
    on_air,
    shown_during,
)

SECOND_NS = 1_000_000_000


def test_a_minute_of_loss_and_jitter_costs_few_frames_and_no_delay(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    with on_air(tmp_path / "data") as node, behind_relay(node, seed=11) as bad:
        relay, viewers, viewer = bad
        relay.change(Conditions(loss=0.05, jitter_ms=50))
        frames = shown_during(viewers, viewer, 60)
        share, delays = decodable_share(frames), delays_ms(frames)
        first, last = statistics.median(delays[:300]), statistics.median(delays[-300:])
        say(f"{100 * share:.2f} % decodable; delay {first:.0f} ms at first, {last:.0f} at last")
        assert share >= 0.99
        assert last - first < 30


def test_every_burst_is_over_a_second_after_its_end(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    with on_air(tmp_path / "data") as node, behind_relay(node, seed=12) as bad:
        relay, viewers, viewer = bad
        took: list[float] = []
        for _ in range(10):
            relay.change(Conditions(loss=0.3))
            viewers.run(5)
            relay.change(CLEAN)
            ended = time.time_ns()
            viewers.run(4)
            after = frames_between(viewer, ended, time.time_ns())
            shown = [f.decodable_ns for f in after if f.decodable_ns]
            took.append((shown[0] - ended) / 1e6 if shown else float("inf"))
        say(f"ms until it played again: {[round(t) for t in took]}")
        assert max(took) <= 1000
