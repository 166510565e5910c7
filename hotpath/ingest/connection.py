"""One accepted SRT connection: its bytes through the session to the sink.

Lives in the ingest thread. Upstream: `hotpath.ingest.srt`. Downstream: `hotpath.ingest.handover`.
"""

import logging
import time
from collections.abc import Sequence
from functools import partial

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.handover import Gate, Handover
from hotpath.ingest.health import HealthMonitor, Observation
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.session import (
    FormatsChanged,
    IngestEvent,
    IngestWarning,
    NeedsFallback,
    TsIngest,
    UnitsReady,
)
from hotpath.ingest.statistics import Publisher, SocketStatistics, SrtStatistics
from hotpath.media.unit import Unit

log = logging.getLogger(__name__)


class Connection:
    def __init__(
        self,
        publisher: Publisher,
        entry: AdmissionEntry,
        socket: int,
        *,
        sink: PublisherSink,
        handover: Handover,
        stall_after_ns: int,
    ) -> None:
        self.publisher = publisher
        self.entry = entry
        self.socket = socket
        self.stalled = False
        self._sink = sink
        self._handover = handover
        self._gate = Gate()
        self._session = TsIngest()
        self._health = HealthMonitor()
        self._stall_after_ns = stall_after_ns
        self._last_data_ns = time.monotonic_ns()
        self._socket_statistics = SocketStatistics()
        self._handover_dropped = 0
        handover.post(partial(sink.publisher_connected, publisher))

    def receive(self, data: bytes) -> None:
        now_ns = time.time_ns()
        self._last_data_ns = time.monotonic_ns()
        self.stalled = False
        self._session.receive(data, now_ns)
        self._hand_over(self._session.poll(time.time_ns()))

    def close(self, reason: str) -> None:
        """The last unit goes out, then the disconnect."""
        self._session.flush()
        self._hand_over(self._session.poll(time.time_ns()))
        self._handover.post(partial(self._sink.publisher_disconnected, self.publisher.id, reason))

    def check_stall(self) -> None:
        """Report, once per stall, that the peer is there but sends nothing."""
        silent_ns = time.monotonic_ns() - self._last_data_ns
        if not self.stalled and silent_ns >= self._stall_after_ns:
            self.stalled = True
            seconds = self._stall_after_ns / 1e9
            self._warn(
                "stalled", f"The encoder is connected but has sent nothing for {seconds:g} s."
            )

    def check_health(self, now: SocketStatistics, now_ns: int) -> None:
        """Once a second: keep the statistics and let the rules speak."""
        self._socket_statistics = now
        observation = Observation(now_ns, now, self._session.facts())
        for finding in self._health.observe(observation):
            self._warn(finding.code, finding.message)
        dropped = self._gate.dropped - self._handover_dropped
        if dropped:
            self._handover_dropped = self._gate.dropped
            self._warn("overloaded", f"The media node was busy: {dropped} frames dropped.")

    def statistics(self) -> SrtStatistics:
        facts = self._session.facts()
        return SrtStatistics(
            self.publisher,
            self._socket_statistics,
            video_units=facts.video.units if facts.video else 0,
            audio_units=facts.audio.units if facts.audio else 0,
            damaged_units=facts.video.damaged if facts.video else 0,
            continuity_errors=facts.counters.continuity_errors,
            handover_dropped=self._gate.dropped,
            stalled=self.stalled,
            early_emission=tuple(facts.early.values()),
        )

    def _hand_over(self, events: list[IngestEvent]) -> None:
        sink, publisher_id = self._sink, self.publisher.id
        for event in events:
            match event:
                case UnitsReady(units):
                    self._post_units(units)
                case FormatsChanged(formats):
                    self._handover.post(partial(sink.publisher_formats, publisher_id, formats))
                case IngestWarning(code, message):
                    self._warn(code, message)
                case NeedsFallback(codec):
                    log.info("publisher %d sends %s", publisher_id, codec)

    def _post_units(self, units: Sequence[Unit]) -> None:
        deliver = partial(self._sink.publisher_units, self.publisher.id)
        self._handover.post_units(self._gate, units, deliver)

    def _warn(self, code: str, message: str) -> None:
        warn = self._sink.publisher_warning
        self._handover.post(partial(warn, self.publisher.id, code, message))
