"""Many viewers on one node, for minutes, beside LL-HLS viewers of the same event."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.accounting import socket_drops, usage
from benchmarks.fanout import cores
from benchmarks.livepath_server import livepath_server, on_cores
from benchmarks.signalling import whep
from benchmarks.viewers import Probe, Viewer, Viewers
from tests.support.llhls_viewer import LlHlsViewer
from tests.support.webrtc import Node, delays_ms

JOINS_PER_S = 25
WINDOW_S = 10.0
BASELINE_S = 15.0
MAX_GROWTH_MB_PER_MINUTE = 1.0


@dataclass(frozen=True)
class Window:
    at: float
    rss_mb: float
    packets: dict[int, int]


def join_all(viewers: Viewers, node: Node, count: int) -> None:
    """All join at a steady rate; the first is a probe."""
    began, first = time.monotonic(), len(viewers.all)
    while (opened := len(viewers.all) - first) < count:
        viewers.step()
        if opened < (time.monotonic() - began) * JOINS_PER_S:
            probe = Probe() if not viewers.all else None
            viewers.open(lambda peer: whep(peer, node.whep_url), probe=probe)
    viewers.run(20, lambda: all(v.failure or viewers.counts(v) for v in viewers.all))


def window(viewers: Viewers, node: Node) -> Window:
    packets = {v.index: sum(s.packets for s in viewers.counts(v)) for v in viewers.all}
    return Window(time.monotonic(), usage([node.media.pid]).rss_kb / 1024, packets)


def lost(viewers: Viewers, viewer: Viewer) -> int:
    return sum(s.highest - s.first + 1 - s.packets for s in viewers.counts(viewer))


def drops(node: Node) -> list[str]:
    """What the node itself says it could not send."""
    lines = node.media.get("/metrics").text.splitlines()
    return [x for x in lines if x.startswith("livepath_webrtc") and ("drop" in x or "error" in x)]


def growth_mb_per_minute(windows: Sequence[Window]) -> float:
    """Slope of a line through the last half."""
    half = windows[len(windows) // 2 :]
    times, sizes = [w.at / 60 for w in half], [w.rss_mb for w in half]
    return statistics.linear_regression(times, sizes).slope


def full_rate(windows: Sequence[Window], indexes: Sequence[int]) -> float:
    """The slowest viewer's packets, as a share of the median viewer's."""
    got = [windows[-1].packets[i] - windows[0].packets[i] for i in indexes]
    return min(got) / statistics.median(got)


def p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def test_nothing_is_lost_nothing_grows_and_ll_hls_does_not_notice(
    viewers_wanted: int, seconds_wanted: float, say: Callable[[str], None]
) -> None:
    with (
        livepath_server() as node,
        LlHlsViewer(f"{node.event_url}/video.m3u8") as hls,
    ):
        alone_from = time.monotonic() + 3
        time.sleep(BASELINE_S)
        alone_until = time.monotonic()
        viewers = Viewers(viewers_wanted)
        try:
            join_all(viewers, node, viewers_wanted)
            assert {v.failure for v in viewers.all} == {None}
            windows = [window(viewers, node)]
            while time.monotonic() < windows[0].at + seconds_wanted:
                viewers.run(WINDOW_S)
                windows.append(window(viewers, node))
            # What this process itself was too slow to take is no fault of the server.
            dropped_here = socket_drops([v.peer.port for v in viewers.all])
            missing = sum(lost(viewers, v) for v in viewers.all)
            say(f"lost {missing}, of which here {dropped_here}")
            say(f"the node says: {drops(node)}")
            say(f"RSS {windows[0].rss_mb:.1f} → {windows[-1].rss_mb:.1f} MB")
            assert missing <= dropped_here
            assert full_rate(windows, [v.index for v in viewers.all]) > 0.995
            assert growth_mb_per_minute(windows) < MAX_GROWTH_MB_PER_MINUTE
            probe = viewers.all[0].probe
            assert probe is not None
            delays = delays_ms(probe.frames)
            say(f"WHEP delay p50 {statistics.median(delays):.1f}, p95 {p95(delays):.1f} ms")
        finally:
            viewers.close()
        assert hls.trouble is None
        assert hls.missing == 0
        alone = hls.between(alone_from, alone_until)
        together = hls.between(windows[0].at, windows[-1].at)
        say(f"LL-HLS part p95 {p95(alone):.1f} ms alone, {p95(together):.1f} ms together")
        assert p95(together) < p95(alone) + 100
        assert node.media.troubles() == []


def test_past_its_limit_a_node_refuses_and_the_others_keep_their_rate() -> None:
    limit, more = 50, 100
    server, client = cores()
    with on_cores(client), livepath_server(cores=server, max_viewers=str(limit)) as node:
        viewers = Viewers(limit + more)
        try:
            join_all(viewers, node, limit)
            inside = [v for v in viewers.all if v.failure is None]
            assert len(inside) == limit
            before = window(viewers, node)
            join_all(viewers, node, more)
            viewers.run(5)
            after = window(viewers, node)
            assert {v.status for v in viewers.all[limit:]} == {503}
            assert all(v.failure is None for v in inside)
            assert sum(lost(viewers, v) for v in inside) == 0
            assert full_rate([before, after], [v.index for v in inside]) > 0.99
        finally:
            viewers.close()


def test_a_node_without_a_limit_refuses_before_its_viewers_suffer(
    say: Callable[[str], None],
) -> None:
    """Joins go on until the sending threads are busy; those who are in keep every frame."""
    most = 4000
    server, client = cores()
    with on_cores(client), livepath_server(cores=server) as node:
        viewers = Viewers(most)
        try:
            while len(viewers.all) < most and not any(v.status == 503 for v in viewers.all):
                join_all(viewers, node, JOINS_PER_S)
            refused = sum(v.status == 503 for v in viewers.all)
            inside = [v for v in viewers.all if v.failure is None]
            say(f"{len(inside)} viewers were let in, {refused} refused")
            viewers.run(5)
            before, overflowed = window(viewers, node), socket_drops([v.peer.port for v in inside])
            missing = sum(lost(viewers, v) for v in inside)
            cpu = usage([node.media.pid])
            viewers.run(20)
            after = window(viewers, node)
            dropped_here = socket_drops([v.peer.port for v in inside]) - overflowed
            say(f"lost here {dropped_here}; the node says: {drops(node)}")
            cores_used = usage([node.media.pid]).since(cpu) / (after.at - before.at)
            busy = [x for x in node.media.get("/metrics").text.splitlines() if "busy_ratio" in x]
            say(f"{busy[-1]}; {cores_used:.2f} cores")
            assert all(v.failure is None for v in inside)
            assert sum(lost(viewers, v) for v in inside) - missing <= dropped_here
            if dropped_here == 0:
                assert full_rate([before, after], [v.index for v in inside]) > 0.99
        finally:
            viewers.close()
