"""Which trace a job is part of.

Invariant: what is filed for a whole programme goes on with the trace that its media node wrote into
the manifest, which is that of the request that created the event. A job over a single segment, of
which a live event has one every few seconds for hours, has a trace of its own with a link to the
event's. Where nobody traces, nothing is asked and no request changes; what cannot be found out
costs a job its parent and nothing else.

Upstream: session manifests, the table of events. Downstream: `coldpath.intake`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from coldpath.ledger import Ledger
from infra.db.control import Event
from infra.errors import StorageError
from infra.jobs.filing import JobRequest
from infra.keys import InitKey, ManifestKey, SegmentKey, parse
from infra.storage.objects import ObjectStore
from infra.telemetry import tracing

HEAD_BYTES = 16 * 1024
"""Of a manifest: all before its renditions, which grow with its length."""
# Quotes within text are escaped, so nothing that somebody named looks like this.
_TRACE = re.compile(rb'"traceparent":"([0-9a-f-]{1,64})"')


class Traces:
    """Begins or goes on with the traces of new jobs."""

    def __init__(self, store: ObjectStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def of(self, requests: Sequence[JobRequest]) -> Sequence[JobRequest]:
        """The requests; each that is new with what its attempts will be part of."""
        if not tracing.is_on() or not requests:
            return requests
        new = self._ledger.unknown([request.id for request in requests])
        wanted = [request for request in requests if request.id in new]
        events = _of_events(self._ledger.engine, {request.event for request in wanted})
        told = {key: self._of_manifest(key) for key in _manifests(wanted)}
        return [
            _filed(request, told.get(request.input_key) or events.get(request.event))
            if request.id in new
            else request
            for request in requests
        ]

    def _of_manifest(self, key: str) -> str | None:
        try:
            found = _TRACE.search(self._store.read(key, 0, HEAD_BYTES))
        except StorageError:
            return None
        return None if found is None else found[1].decode()


def _manifests(requests: Sequence[JobRequest]) -> Iterator[str]:
    keys = dict.fromkeys(request.input_key for request in requests)
    return (key for key in keys if isinstance(parse(key), ManifestKey))


def _of_events(engine: Engine, events: set[str]) -> Mapping[str, str]:
    query = select(Event.id, Event.traceparent).where(
        Event.id.in_(events), Event.traceparent.is_not(None)
    )
    with Session(engine) as session:
        return {event: traceparent or "" for event, traceparent in session.execute(query)}


def _filed(request: JobRequest, traceparent: str | None) -> JobRequest:
    """The request as part of the trace, or of one of its own beside it."""
    beside = isinstance(parse(request.input_key), SegmentKey | InitKey)
    parent, link = (None, traceparent) if beside else (traceparent, None)
    with tracing.span("file job", kind="producer", parent=parent, link=link) as span:
        span.note(
            {
                "livepath.project": request.project,
                "livepath.event": request.event,
                "livepath.job": request.id,
                "livepath.function": request.function,
            }
        )
        return replace(request, traceparent=span.traceparent)
