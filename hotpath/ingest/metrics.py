"""Prometheus figures of SRT ingest. Labels: event and reason; never the peer.

Register once: `REGISTRY.register(IngestCollector(ingest))`. Upstream: `SrtIngest.statistics`.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.statistics import SrtStatistics

Figure = tuple[str, str, Callable[[SrtStatistics], float]]

_COUNTERS: tuple[Figure, ...] = (
    ("packets", "SRT packets received", lambda s: s.socket.packets),
    ("bytes", "SRT bytes received", lambda s: s.socket.bytes),
    ("lost_packets", "SRT packets missed at first", lambda s: s.socket.lost),
    ("dropped_packets", "SRT packets that never came in time", lambda s: s.socket.dropped),
    ("undecrypted_packets", "SRT packets that did not decrypt", lambda s: s.socket.undecrypted),
    ("retransmitted_packets", "SRT packets that were sent again", lambda s: s.socket.retransmitted),
    ("continuity_errors", "Gaps in the transport stream", lambda s: s.continuity_errors),
    ("video_units", "Video access units", lambda s: s.video_units),
    ("audio_units", "Audio frames", lambda s: s.audio_units),
    ("damaged_units", "Video access units with missing bytes", lambda s: s.damaged_units),
    ("handover_dropped_units", "Units dropped by a busy node", lambda s: s.handover_dropped),
)
_GAUGES: tuple[Figure, ...] = (
    ("rtt_seconds", "SRT round trip time", lambda s: s.socket.rtt_ms / 1000),
    ("bits_per_second", "SRT receive rate", lambda s: s.socket.rate_mbps * 1e6),
    ("buffer_seconds", "SRT receive buffer", lambda s: s.socket.buffer_ms / 1000),
    ("latency_seconds", "SRT latency in force", lambda s: s.socket.latency_ms / 1000),
    ("stalled", "1 while the publisher sends nothing", lambda s: float(s.stalled)),
)


class IngestCollector(Collector):
    def __init__(self, ingest: SrtIngest) -> None:
        self._ingest = ingest

    def collect(self) -> Iterator[Metric]:
        statistics = self._ingest.statistics()
        for name, text, read in _COUNTERS:
            counter = CounterMetricFamily(f"livepath_ingest_{name}", text, labels=["event"])
            for one in statistics:
                counter.add_metric([one.publisher.event], read(one))
            yield counter
        for name, text, read in _GAUGES:
            gauge = GaugeMetricFamily(f"livepath_ingest_{name}", text, labels=["event"])
            for one in statistics:
                gauge.add_metric([one.publisher.event], read(one))
            yield gauge
        refused = CounterMetricFamily(
            "livepath_ingest_refused", "Refused connects", labels=["reason"]
        )
        for reason, count in sorted(self._ingest.refusals.items()):
            refused.add_metric([reason], count)
        yield refused
        yield GaugeMetricFamily(
            "livepath_ingest_publishers", "Connected publishers", len(statistics)
        )
