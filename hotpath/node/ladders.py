"""The ladders of this node: who runs them, what they may take, and what `/metrics` says about them.

Invariant: every ladder's child ends when `run` does, and a bug in one ladder costs no other. All of
them share the cores that the process may use: a ladder that starts is given what is left of them.

Upstream: `hotpath.node.launcher`, for events that ask for renditions. Downstream: `hotpath.encode`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import structlog
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from hotpath.bus.stream import ProgramStream
from hotpath.encode.ladder import Ladder, Publish
from hotpath.encode.ladder_records import CPU_US, ENCODED
from hotpath.encode.shares import SharedCores
from hotpath.program.states import IngestWarning
from infra.cores import available_cores
from infra.renditions import LadderRung

log = structlog.get_logger(__name__)

WARNING = "renditions-trimmed"


class Ladders:
    """Makes ladders and owns them; see the module for the invariant."""

    def __init__(self, cores: float | None = None) -> None:
        self._cores = SharedCores(cores or available_cores())
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[Ladder] = set()
        self._earlier = Figures()
        """Of ladders that are gone."""

    async def run(self) -> None:
        """Owns every ladder; cancel to end them."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    def put_before(
        self,
        stream: ProgramStream,
        publish: Publish,
        rungs: Sequence[LadderRung],
        on_warning: Callable[[IngestWarning], None],
    ) -> Publish:
        """A `publish` for the programme that leads to the given one by way of a new ladder."""
        if self._tasks is None:
            raise RuntimeError("ladders can be made while Ladders.run is running")
        ladder = Ladder(
            rungs,
            publish,
            publish_rungs=stream.publish,
            cores=self._cores,
            on_warning=lambda words: on_warning(IngestWarning(WARNING, words)),
        )
        self._running.add(ladder)
        task = self._tasks.create_task(self._keep(ladder), name=f"ladder {stream.key}")
        task.add_done_callback(partial(self._gone, ladder))
        return ladder.publish

    async def _keep(self, ladder: Ladder) -> None:
        try:
            await ladder.run()
        except Exception:
            log.exception("a ladder brought out a bug")

    def _gone(self, ladder: Ladder, _: "asyncio.Task[None]") -> None:
        self._running.discard(ladder)
        self._earlier.add(ladder)

    # -- figures -----------------------------------------------------------------------------

    def running(self) -> Counter[str]:
        """Rungs that are encoded now, by name."""
        return Counter(name for ladder in self._running for name in ladder.running)

    def cores(self) -> float:
        """Cores that the running ladders are predicted to take; of those that are being measured,
        all that they were given."""
        return self._cores.taken

    def figures(self) -> "Figures":
        """Since the start."""
        total = Figures()
        total.merge(self._earlier)
        for ladder in self._running:
            total.add(ladder)
        return total


class Figures:
    """What ladders have done."""

    def __init__(self) -> None:
        self.encoded: Counter[str] = Counter()
        self.trimmed: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.cpu_us = self.delay_ns = self.restarts = 0

    def add(self, ladder: Ladder) -> None:
        counts = ladder.counts
        self.encoded += ladder.encoded
        self.trimmed += ladder.trimmed
        self.cpu_us += counts.pop(CPU_US, 0)
        counts.pop(ENCODED, 0)
        self.left_out += counts
        self.delay_ns += ladder.delay_ns
        self.restarts += ladder.restarts

    def merge(self, other: "Figures") -> None:
        self.encoded += other.encoded
        self.trimmed += other.trimmed
        self.left_out += other.left_out
        self.cpu_us += other.cpu_us
        self.delay_ns += other.delay_ns
        self.restarts += other.restarts


class LadderCollector(Collector):
    """Reads the ladders at every scrape. Labels: names of rungs and reasons, both few."""

    def __init__(self, ladders: Ladders) -> None:
        self._ladders = ladders

    def collect(self) -> Iterator[Metric]:
        figures = self._ladders.figures()
        running = GaugeMetricFamily(
            "livepath_ladder_rungs", "Renditions that are encoded now.", labels=["rendition"]
        )
        for name, count in sorted(self._ladders.running().items()):
            running.add_metric([name], count)
        yield running
        yield GaugeMetricFamily(
            "livepath_ladder_cores", "Cores that they are predicted to take.",
            value=self._ladders.cores(),
        )  # fmt: skip
        for name, words, label, counts in (
            ("frames", "Pictures encoded.", "rendition", figures.encoded),
            ("rungs_trimmed", "Renditions that the machine could not encode.", "rendition",
             figures.trimmed),
            ("frames_left_out", "Pictures left out or of no use.", "reason", figures.left_out),
        ):  # fmt: skip
            family = CounterMetricFamily(f"livepath_ladder_{name}", words, labels=[label])
            for key, count in sorted(counts.items()):
                family.add_metric([key], count)
            yield family
        yield CounterMetricFamily(
            "livepath_ladder_cpu_seconds", "Processor time of the encoding children.",
            value=figures.cpu_us / 1e6,
        )  # fmt: skip
        yield CounterMetricFamily(
            "livepath_ladder_restarts", "Children that crashed and were replaced.",
            value=figures.restarts,
        )  # fmt: skip
        yield SummaryMetricFamily(
            "livepath_ladder_delay_seconds",
            "Age of a picture when its rendition is published; the source's is in stage_seconds.",
            count_value=figures.encoded.total(),
            sum_value=figures.delay_ns / 1e9,
        )
