"""What `/metrics` says about programmes, read when it is asked for (SRT: `hotpath.ingest.metrics`).

Labels are bounded: states, reasons, and programmes on the air on this node (never viewers).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Observed(Protocol):
    """What the node lets be seen of itself."""

    def states(self) -> Counter[str]:
        """Programmes by state."""

    def left_out(self) -> Mapping[str, int]:
        """Units left out or repaired since the start, by reason."""

    def publishers(self) -> int: ...

    def switches(self) -> Mapping[str, int]:
        """Changes to a standby since the start, by cause."""


class NodeCollector(Collector):
    """Reads the node at every scrape; nothing is kept twice."""

    def __init__(self, node: Observed, facts_waiting: Callable[[], int]) -> None:
        self._node = node
        self._facts_waiting = facts_waiting

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "livepath_publishers", "Connected publishers.", value=self._node.publishers()
        )
        switches = CounterMetricFamily(
            "livepath_publisher_switches", "Changes to the standby publisher.", labels=["reason"]
        )
        for reason, count in sorted(self._node.switches().items()):
            switches.add_metric([reason], count)
        yield switches
        programs = GaugeMetricFamily("livepath_programs", "Programmes by state.", labels=["state"])
        for state, count in sorted(self._node.states().items()):
            programs.add_metric([state], count)
        yield programs
        units = CounterMetricFamily(
            "livepath_program_units_left_out",
            "Units left out, repaired or made by programmes.",
            labels=["reason"],
        )
        for reason, count in sorted(self._node.left_out().items()):
            units.add_metric([reason], count)
        yield units
        yield GaugeMetricFamily(
            "livepath_facts_waiting", "Facts not yet on the bus.", value=self._facts_waiting()
        )
