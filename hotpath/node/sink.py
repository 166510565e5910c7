"""Where ingest delivers: every publisher is led to its programme.

Upstream: `hotpath.ingest.srt` and `whip_service`, on the event loop, in order per publisher.
Downstream: the switcher of each programme of `hotpath.node.programs`, `ingests`. Implements
`hotpath.ingest.publisher.PublisherSink`.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from hotpath.ingest.admission import Refusal
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Format, Unit
from hotpath.node.ingests import Ingests
from hotpath.node.journal import Journal
from hotpath.node.onair import OnAir
from hotpath.node.programs import Programs
from infra.events.facts import FactType
from infra.keys import ProgramKey
from infra.telemetry import tracing
from infra.telemetry.stages import observe_stage
from infra.telemetry.tracing import Span

log = structlog.get_logger(__name__)


TAKEN_OVER = "taken-over"
"""Ingest's word for a publisher whose successor is connected already."""


class ProgramSink:
    """Keeps which publisher belongs to which programme.

    Invariant: no call raises. A bug that one publisher's stream brings out costs that publisher
    its connection, never the ingest loop that serves the others.
    """

    def __init__(self, programs: Programs, journal: Journal, ingests: Ingests) -> None:
        self._programs = programs
        self._journal = journal
        self._ingests = ingests
        self._entries: dict[int, OnAir] = {}

    def publisher_connected(self, publisher: Publisher) -> None:
        key = ProgramKey(publisher.project, publisher.event, publisher.feed)
        entry = self._programs.for_publisher(key)
        if entry is None:
            drained = self._programs.draining
            reason = "the node is being drained" if drained else "the event is over"
            self._programs.disconnect(publisher.id, reason)
            return
        self._entries[publisher.id] = entry
        entry.publishers[publisher.id] = publisher
        self._ingests.began(publisher)
        with tracing.span("publisher connect", parent=entry.event.traceparent) as span:
            _describe(span, publisher)
            self._journal.program(
                key,
                FactType.PUBLISHER_CONNECTED,
                publisher=publisher.id,
                peer=publisher.peer,
                protocol=publisher.protocol,
                place=publisher.role.value,
            )
            now, wall_ns = time.monotonic_ns(), time.time_ns()
            with self._isolated(publisher.id, entry):
                entry.switcher.publisher_connected(publisher.id, publisher.role, now, wall_ns)

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        entry = self._entries.get(publisher_id)
        if entry is None:
            return
        with self._isolated(publisher_id, entry):
            entry.switcher.publisher_formats(
                publisher_id, formats, time.monotonic_ns(), time.time_ns()
            )

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        entry = self._entries.get(publisher_id)
        if entry is None:
            return
        with self._isolated(publisher_id, entry):
            for unit in units:
                observe_stage("demuxed", (unit.demuxed_ns - unit.ingest_ns) / 1e9)
            entry.switcher.publisher_units(publisher_id, units, time.monotonic_ns(), time.time_ns())

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None:
        entry = self._entries.get(publisher_id)
        if entry is None:
            return
        place = entry.publishers[publisher_id].role.value
        self._journal.program(
            entry.key, FactType.INGEST_WARNING, code=code, message=message, place=place
        )

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None:
        entry = self._entries.pop(publisher_id, None)
        if entry is None:
            return
        self._ingests.ended(entry.publishers.pop(publisher_id))
        now, wall_ns = time.monotonic_ns(), time.time_ns()
        with self._isolated(publisher_id, entry):
            if reason == TAKEN_OVER:
                entry.switcher.publisher_replaced(publisher_id, now, wall_ns)
            else:
                entry.switcher.publisher_lost(publisher_id, reason, now, wall_ns)

    def publisher_refused(self, refusal: Refusal) -> None:
        self._journal.note(
            FactType.PUBLISHER_REFUSED,
            project=refusal.project,
            event=refusal.event,
            at_ns=refusal.at_ns,
            reason=refusal.reason,
            peer=refusal.peer,
        )

    @contextmanager
    def _isolated(self, publisher_id: int, entry: OnAir) -> Iterator[None]:
        try:
            yield
        except Exception:
            log.exception("a publisher's stream brought out a bug", program=str(entry.key))
            self._programs.disconnect(publisher_id, "internal error")
        self._programs.touched(entry)


def _describe(span: Span, publisher: Publisher) -> None:
    span.note(
        {
            "livepath.project": publisher.project,
            "livepath.event": publisher.event,
            "livepath.protocol": publisher.protocol,
            "livepath.place": publisher.role.value,
        }
    )
