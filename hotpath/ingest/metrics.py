"""Prometheus figures of ingest, SRT and WHIP. Labels: event, role, reason; never the peer.

Register once: `REGISTRY.register(IngestCollector(srt, whip))`. Upstream: `SrtIngest.statistics`,
`WhipIngest.statistics`.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.statistics import Publisher, SrtStatistics, WhipStatistics
from hotpath.ingest.whip_service import WhipIngest


class _OfPublisher(Protocol):
    @property
    def publisher(self) -> Publisher: ...


S = TypeVar("S", bound=_OfPublisher)
Figure = tuple[str, str, Callable[[S], float]]

_SRT_COUNTERS: tuple[Figure[SrtStatistics], ...] = (
    ("ingest_packets", "SRT packets received", lambda s: s.socket.packets),
    ("ingest_bytes", "SRT bytes received", lambda s: s.socket.bytes),
    ("ingest_lost_packets", "SRT packets missed at first", lambda s: s.socket.lost),
    ("ingest_dropped_packets", "SRT packets that never came in time", lambda s: s.socket.dropped),
    (
        "ingest_undecrypted_packets",
        "SRT packets that did not decrypt",
        lambda s: s.socket.undecrypted,
    ),
    (
        "ingest_retransmitted_packets",
        "SRT packets that were sent again",
        lambda s: s.socket.retransmitted,
    ),
    ("ingest_continuity_errors", "Gaps in the transport stream", lambda s: s.continuity_errors),
    ("ingest_video_units", "Video access units", lambda s: s.video_units),
    ("ingest_audio_units", "Audio frames", lambda s: s.audio_units),
    ("ingest_damaged_units", "Video access units with missing bytes", lambda s: s.damaged_units),
    ("ingest_handover_dropped_units", "Units dropped by a busy node", lambda s: s.handover_dropped),
)
_SRT_GAUGES: tuple[Figure[SrtStatistics], ...] = (
    ("ingest_rtt_seconds", "SRT round trip time", lambda s: s.socket.rtt_ms / 1000),
    ("ingest_bits_per_second", "SRT receive rate", lambda s: s.socket.rate_mbps * 1e6),
    ("ingest_buffer_seconds", "SRT receive buffer", lambda s: s.socket.buffer_ms / 1000),
    ("ingest_latency_seconds", "SRT latency in force", lambda s: s.socket.latency_ms / 1000),
    ("ingest_stalled", "1 while the publisher sends nothing", lambda s: float(s.stalled)),
)
_WHIP_COUNTERS: tuple[Figure[WhipStatistics], ...] = (
    ("whip_packets", "RTP packets received", lambda s: s.rtp.packets),
    ("whip_bytes", "RTP bytes received", lambda s: s.rtp.bytes),
    ("whip_missing_packets", "RTP packets that never came in time", lambda s: s.rtp.missing),
    ("whip_retransmitted_packets", "Missing packets sent again", lambda s: s.rtp.retransmitted),
    ("whip_nacked_packets", "Missing packets asked for", lambda s: s.rtp.nacks),
    ("whip_unusable_packets", "RTP packets that no track could use", lambda s: s.rtp.unusable),
    ("whip_keyframe_requests", "PLI and FIR sent", lambda s: s.rtp.keyframe_requests),
    ("whip_video_units", "Video access units", lambda s: s.video_units),
    ("whip_audio_units", "Audio frames", lambda s: s.audio_units),
    ("whip_damaged_units", "Video access units with missing packets", lambda s: s.damaged_units),
)
_WHIP_GAUGES: tuple[Figure[WhipStatistics], ...] = (
    ("whip_rtt_seconds", "Round trip time by ICE checks", lambda s: s.rtp.round_trip_ms / 1000),
    ("whip_jitter_seconds", "Interarrival jitter", lambda s: s.rtp.jitter_ms / 1000),
    ("whip_bits_per_second", "Receive rate", lambda s: s.rtp.rate_mbps * 1e6),
    ("whip_allowed_bits_per_second", "REMB sent", lambda s: s.rtp.allowed_mbps * 1e6),
    ("whip_stalled", "1 while the publisher sends nothing", lambda s: float(s.stalled)),
)


class IngestCollector(Collector):
    def __init__(self, srt: SrtIngest, whip: WhipIngest | None = None) -> None:
        self._srt = srt
        self._whip = whip

    def collect(self) -> Iterator[Metric]:
        srt = self._srt.statistics()
        yield from _families(srt, _SRT_COUNTERS, _SRT_GAUGES)
        refused = CounterMetricFamily(
            "livepath_ingest_refused", "Refused connects", labels=["reason"]
        )
        for reason, count in sorted(self._srt.refusals.items()):
            refused.add_metric([reason], count)
        yield refused
        yield GaugeMetricFamily("livepath_ingest_publishers", "Connected publishers", len(srt))
        if self._whip is None:
            return
        whip = self._whip.statistics()
        yield from _families(whip, _WHIP_COUNTERS, _WHIP_GAUGES)
        refused = CounterMetricFamily(
            "livepath_whip_refused", "Refused WHIP publishers", labels=["reason"]
        )
        for reason, count in sorted(self._whip.refusals.items()):
            refused.add_metric([reason], count)
        yield refused
        yield GaugeMetricFamily("livepath_whip_publishers", "Connected WHIP publishers", len(whip))


def _families(
    statistics: Sequence[S], counters: Sequence[Figure[S]], gauges: Sequence[Figure[S]]
) -> Iterator[Metric]:
    kinds = chain(
        ((CounterMetricFamily, f) for f in counters), ((GaugeMetricFamily, f) for f in gauges)
    )
    for kind, (name, text, read) in kinds:
        family = kind(f"livepath_{name}", text, labels=["event", "role"])
        for one in statistics:
            family.add_metric([*one.publisher.place], read(one))
        yield family
