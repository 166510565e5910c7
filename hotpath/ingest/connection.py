"""One accepted SRT connection: its bytes through the session to the sink.

Lives in the ingest thread. Upstream: `hotpath.ingest.srt`. Downstream: `hotpath.ingest.handover`.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.fallback_process import FallbackProcess
from hotpath.ingest.handover import Gate, Handover
from hotpath.ingest.health import HealthMonitor, Observation, findings
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.session import (
    FormatsChanged,
    IngestEvent,
    IngestWarning,
    NeedsFallback,
    SessionFacts,
    TsIngest,
    UnitsReady,
)
from hotpath.ingest.statistics import Publisher, SocketStatistics, SrtStatistics
from hotpath.media.access_units import TrackFacts
from hotpath.media.unit import AUDIO, Unit

log = logging.getLogger(__name__)

MAX_RESTARTS = 3
_MAX_PRELUDE = 2 * 1024 * 1024
"""Bytes kept until the stream's layout is known, so that a fallback misses nothing."""


class Connection:
    def __init__(
        self,
        publisher: Publisher,
        entry: AdmissionEntry,
        socket: int,
        *,
        latency_ns: int,
        sink: PublisherSink,
        handover: Handover,
        stall_after_ns: int,
    ) -> None:
        self.publisher = publisher
        self.entry = entry
        self.socket = socket
        self.latency_ns = latency_ns
        self.stalled = False
        self._sink = sink
        self._handover = handover
        self._gate = Gate()
        self._session = TsIngest()
        self._health = HealthMonitor(findings)
        self._stall_after_ns = stall_after_ns
        self._last_data_ns = time.monotonic_ns()
        self._socket_statistics = SocketStatistics()
        self._handover_dropped = 0
        self._fallback: FallbackProcess | None = None
        self._restarts = 0
        self._given_up = False
        self._converted_audio = 0
        self._prelude: bytearray | None = bytearray()
        self._unsent = b""
        handover.post(partial(sink.publisher_connected, publisher))

    def receive(self, data: bytes) -> None:
        now_ns = time.time_ns()
        self._last_data_ns = time.monotonic_ns()
        self.stalled = False
        self._session.receive(data, now_ns)
        events = self._session.poll(time.time_ns())
        if self._prelude is not None:
            self._prelude += data
            if len(self._prelude) > _MAX_PRELUDE:
                self._prelude = None
        if events:
            self._take(events)
        if self._fallback is not None:
            self._fallback.send(self._unsent or data)
            self._unsent = b""

    def finished(self) -> bool:
        """No more bytes will come: True once everything made from them is handed over."""
        if self._fallback is None:
            return True
        self._fallback.finish()
        return self._fallback.ended

    def close(self, reason: str) -> None:
        """The last unit goes out, then the disconnect."""
        self._session.flush()
        self._take(self._session.poll(time.time_ns()))
        if self._fallback is not None:
            self._fallback.kill()
        self._handover.post(partial(self._sink.publisher_disconnected, self.publisher.id, reason))

    def check_fallback(self) -> None:
        """A child that crashed is replaced a few times; then its audio is given up."""
        child = self._fallback
        if child is None or not child.failed:
            return
        self._restarts += 1
        if self._restarts <= MAX_RESTARTS:
            self._warn("fallback-restarted", "The audio converter crashed and was restarted.")
            self._fallback = FallbackProcess(self._hand_over)
            return
        self._fallback = None
        self._given_up = True
        self._warn("fallback-failed", "The audio cannot be converted: send AAC. Video goes on.")
        self._gate.await_keyframe = True
        self._hand_over([FormatsChanged(self._session.facts().formats)])

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
        observation = Observation(now_ns, now, self._facts())
        for finding in self._health.observe(observation):
            self._warn(finding.code, finding.message)
        dropped = self._gate.dropped - self._handover_dropped
        if dropped:
            self._handover_dropped = self._gate.dropped
            self._warn("overloaded", f"The media node was busy: {dropped} frames dropped.")

    def statistics(self) -> SrtStatistics:
        facts = self._facts()
        return SrtStatistics(
            self.publisher,
            self._socket_statistics,
            video_units=facts.video.units if facts.video else 0,
            audio_units=facts.audio.units if facts.audio else 0,
            damaged_units=facts.video.damaged if facts.video else 0,
            continuity_errors=facts.counters.continuity_errors,
            handover_dropped=self._gate.dropped,
            stalled=self.stalled,
            at_ns=time.monotonic_ns(),
            early_emission=tuple(facts.early.values()),
        )

    def _facts(self) -> SessionFacts:
        """Those of the session, with the audio that a fallback made."""
        facts = self._session.facts()
        if self._converted_audio:
            facts = replace(facts, audio=TrackFacts(units=self._converted_audio))
        return facts

    def _take(self, events: list[IngestEvent]) -> None:
        """Events of the session; with a fallback, formats and units are the child's to tell."""
        for event in events:
            if isinstance(event, NeedsFallback) and self._fallback is None and not self._given_up:
                log.info("publisher %d sends %s", self.publisher.id, event.codec)
                self._fallback = FallbackProcess(self._hand_over)
                self._unsent = bytes(self._prelude or b"")
            elif isinstance(event, FormatsChanged):
                self._prelude = None
        if self._fallback is not None:
            events = [e for e in events if isinstance(e, IngestWarning)]
        self._hand_over(events)

    def _hand_over(self, events: list[IngestEvent]) -> None:
        """In the ingest thread, or (units of a fallback) in that of its child's output."""
        for event in events:
            match event:
                case UnitsReady(units):
                    if self._fallback is not None:
                        self._converted_audio += sum(u.track == AUDIO for u in units)
                    self._post_units(units)
                case FormatsChanged(formats):
                    tell = self._sink.publisher_formats
                    self._handover.post(partial(tell, self.publisher.id, formats))
                case IngestWarning(code, message):
                    self._warn(code, message)
                case NeedsFallback():
                    pass  # handled by _take
        self._handover.wake()

    def _post_units(self, units: Sequence[Unit]) -> None:
        deliver = partial(self._sink.publisher_units, self.publisher.id)
        self._handover.post_units(self._gate, units, deliver)

    def _warn(self, code: str, message: str) -> None:
        warn = self._sink.publisher_warning
        self._handover.post(partial(warn, self.publisher.id, code, message))
