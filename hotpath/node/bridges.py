"""The bridges of this node: who runs them, and what `/metrics` says about them.

Invariant: every bridge's child ends when `run` does, and a bug in one bridge costs no other.
Upstream: `hotpath.node.bridging` (publishers whose sound LL-HLS cannot take) and `hotpath.fanout`
(programmes that WebRTC cannot take as they are). Downstream: `hotpath.encode`.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hotpath.encode.bridge import Bridge, OnFailed, OnOutput
from hotpath.encode.job import SOUND_HZ, EncodeSettings
from hotpath.media.clock import CLOCK
from hotpath.media.unit import Codec, Format

log = structlog.get_logger(__name__)


class Bridges:
    """Makes bridges and owns them; see the module for the invariant."""

    def __init__(self, settings: EncodeSettings | None = None) -> None:
        self._settings = settings or EncodeSettings()
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[Bridge] = set()
        self._restarts: Counter[str] = Counter()
        """Of bridges that are gone, by name; so are the next two."""
        self._failures: Counter[str] = Counter()
        self._left_out: Counter[tuple[str, str]] = Counter()

    async def run(self) -> None:
        """Owns every bridge; cancel to end them."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                for bridge in self._running:
                    bridge.close()

    def make_bridge(self, source: Format, target: Codec, on_output: OnOutput) -> Bridge:
        """For units of a programme: both sides count in their format's timescale.

        `send` raises once the bridge has failed.
        """
        clock_out = SOUND_HZ if target.kind == "audio" else CLOCK
        return self._start(source, target, (source.timescale, clock_out), on_output, _nobody)

    def for_publisher(
        self, source: Format, target: Codec, on_output: OnOutput, on_failed: OnFailed
    ) -> Bridge:
        """For units of a publisher: both sides count in its 90 kHz."""
        return self._start(source, target, (CLOCK, CLOCK), on_output, on_failed)

    def _start(
        self,
        source: Format,
        target: Codec,
        clocks: tuple[int, int],
        on_output: OnOutput,
        on_failed: OnFailed,
    ) -> Bridge:
        if self._tasks is None:
            raise RuntimeError("bridges can be made while Bridges.run is running")
        bridge = Bridge(
            source,
            target,
            clock_in=clocks[0],
            clock_out=clocks[1],
            on_output=on_output,
            on_failed=on_failed,
            settings=self._settings,
        )
        self._running.add(bridge)
        task = self._tasks.create_task(self._keep(bridge), name=f"bridge {bridge.job.name}")
        task.add_done_callback(partial(self._gone, bridge))
        return bridge

    async def _keep(self, bridge: Bridge) -> None:
        try:
            await bridge.run()
        except Exception:
            log.exception("a bridge brought out a bug", bridge=bridge.job.name)
        finally:
            bridge.close()

    def _gone(self, bridge: Bridge, _: "asyncio.Task[None]") -> None:
        name = bridge.job.name
        self._running.discard(bridge)
        self._restarts[name] += bridge.restarts
        self._failures[name] += bridge.failed
        for reason, count in bridge.counts.items():
            self._left_out[name, reason] += count

    # -- figures -----------------------------------------------------------------------------

    def running(self) -> Counter[str]:
        """Bridges by name, for example `opus-aac`."""
        return Counter(bridge.job.name for bridge in self._running)

    def restarts(self) -> Counter[str]:
        return self._restarts + Counter(
            {name: sum(b.restarts for b in self._running if b.job.name == name)
             for name in self.running()}
        )  # fmt: skip

    def failures(self) -> Counter[str]:
        return +self._failures

    def left_out(self) -> Counter[tuple[str, str]]:
        """Units and frames left out or repaired, by (name, reason)."""
        total = Counter(self._left_out)
        for bridge in self._running:
            for reason, count in bridge.counts.items():
                total[bridge.job.name, reason] += count
        return +total


def _nobody(words: str) -> None:
    """Who sends to a bridge of a programme hears of its failure by `send`."""


class BridgeCollector(Collector):
    """Reads the bridges at every scrape. Labels: pairs of codecs and reasons, both few."""

    def __init__(self, bridges: Bridges) -> None:
        self._bridges = bridges

    def collect(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("livepath_bridges", "Running bridges.", labels=["bridge"])
        for name, count in sorted(self._bridges.running().items()):
            running.add_metric([name], count)
        yield running
        restarts = CounterMetricFamily(
            "livepath_bridge_restarts", "Children that crashed and were replaced.",
            labels=["bridge"],
        )  # fmt: skip
        for name, count in sorted(self._bridges.restarts().items()):
            restarts.add_metric([name], count)
        yield restarts
        failures = CounterMetricFamily(
            "livepath_bridge_failures", "Bridges given up.", labels=["bridge"]
        )
        for name, count in sorted(self._bridges.failures().items()):
            failures.add_metric([name], count)
        yield failures
        left_out = CounterMetricFamily(
            "livepath_bridge_units_left_out",
            "Units and frames left out or repaired by bridges.",
            labels=["bridge", "reason"],
        )
        for (name, reason), count in sorted(self._bridges.left_out().items()):
            left_out.add_metric([name, reason], count)
        yield left_out
