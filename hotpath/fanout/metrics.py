"""Prometheus figures of the fan-out. Labels: causes, results and protocols; never a viewer.

Register once: `REGISTRY.register(FanoutCollector(service))`. Join times are in `joins`, the age at
the socket is stage `sent` of `infra.telemetry.stages`. Upstream: `FanoutService`, kernel and mux.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hotpath.fanout.kernel import KernelTotals
from hotpath.fanout.selection import MAIN
from hotpath.fanout.service import FanoutService
from hotpath.fanout.viewer import SOUND, Counts
from infra.renditions import RUNGS

_KERNEL: tuple[tuple[str, str, Callable[[KernelTotals], int]], ...] = (
    ("packets", "RTP packets sent", lambda t: t.packets),
    ("bytes", "Bytes sent", lambda t: t.bytes),
    ("rtx_packets", "Packets sent again", lambda t: t.rtx),
    ("rtx_refused", "Packets asked for that were not sent again", lambda t: t.rtx_refused),
    (
        "dropped_frames",
        "Frames that a viewer's path did not take in time",
        lambda t: t.frames_dropped,
    ),
    ("gso_off", "Paths that take no UDP segmentation offload", lambda t: t.gso_off),
    ("sender_reports", "RTCP sender reports", lambda t: t.sr),
)
_VIEWERS: tuple[tuple[str, str, Callable[[Counts], int]], ...] = (
    ("nacks", "NACKs received", lambda c: c.nacks),
    ("plis", "Requests for a picture received", lambda c: c.plis),
    ("plis_answered", "Requests for a picture answered from the ring", lambda c: c.plis_answered),
    ("bad_rtcp", "RTCP packets that could not be read", lambda c: c.bad_rtcp),
    ("rtcp_over", "RTCP packets not read: too many of one viewer", lambda c: c.rtcp_over),
    ("moves", "Changes of a viewer's address", lambda c: c.moves),
)


class FanoutCollector(Collector):
    def __init__(self, service: FanoutService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        service = self._service
        totals = service.kernel.totals()
        for name, text, read in _KERNEL:
            yield _counter(name, text, read(totals))
        for name, text, count in _VIEWERS:
            yield _counter(name, text, count(service.viewers.counts))
        yield _labelled("send_errors", "Errors of the socket", "errno", totals.errors)
        yield _labelled(
            "joins", "Viewers that came, by what became of it", "result", service.viewers.joins
        )
        yield _labelled("left", "Viewers that went, by reason", "reason", service.viewers.left)
        yield _labelled("transport", "Events of the WebRTC port", "kind", service.mux.counters)
        cpu = CounterMetricFamily(
            "livepath_webrtc_shard_cpu_seconds", "CPU time of the sending threads", labels=["shard"]
        )
        for shard, ns in enumerate(totals.cpu_ns):
            cpu.add_metric([str(shard)], ns / 1e9)
        yield cpu
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        service = self._service
        protocols = Counter(s.path.protocol for s in service.sessions.values() if s.path)
        gauge = GaugeMetricFamily(
            "livepath_webrtc_sessions", "Connected viewers, by the way to them", labels=["path"]
        )
        for protocol in ("udp", "tcp"):
            gauge.add_metric([protocol], protocols[protocol])
        yield gauge
        shown = Counter(s.rendition for s in service.sessions.values() if s.path)
        gauge = GaugeMetricFamily(
            "livepath_webrtc_viewers", "Connected viewers, by what they get", labels=["rendition"]
        )
        for rendition in (MAIN, *RUNGS, SOUND):
            gauge.add_metric([rendition], shown[rendition])
        yield gauge
        encodes = sum(feed.encodes for feed in service.feeds())
        share = service.gate.load.share
        yield GaugeMetricFamily("livepath_webrtc_encodes", "Encodes made for viewers", encodes)
        yield GaugeMetricFamily(
            "livepath_webrtc_busy_ratio",
            "Share of a core the busiest sending thread, or of all cores this process uses",
            share,
        )


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"livepath_webrtc_{name}", text, value)


def _labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"livepath_webrtc_{name}", text, labels=[label])
    for key, count in sorted(counts.items()):
        family.add_metric([key], count)
    return family
