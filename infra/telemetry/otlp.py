"""Tracing by OpenTelemetry, and its spans on their way to a collector: OTLP over HTTP.

Invariant: whoever ends a span never waits. Spans lie in a bounded queue and are sent in batches by
a thread of their own; what does not fit, or the collector does not take, is dropped and counted.

The SDK's own batch processor drops without telling anybody, which is why it is not used. Sampling
(`OTEL_TRACES_SAMPLER`), resource attributes, headers and certificates of the exporter are those of
OpenTelemetry's environment variables. No global tracer provider is set: libraries that look for one
would add spans of theirs.

Upstream: `infra.telemetry.tracing`, which alone imports this.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from prometheus_client import Counter

from infra.telemetry.traceparent import TraceParent
from infra.telemetry.tracing import Kind, Span, Value

_log = logging.getLogger(__name__)
QUEUE = 2_048
"""Spans of about a kilobyte."""
BATCH = 256
ANSWER_S = 5.0
"""For a batch, with all tries."""
_PATH = "/v1/traces"
_SPANS = Counter(
    "livepath_spans_total",
    "Spans that a collector took, and those that were dropped because the queue was full or "
    "because it did not take them.",
    ["outcome"],
)
_TAKEN, _NO_ROOM, _REFUSED = (_SPANS.labels(o) for o in ("taken", "queue-full", "not-taken"))
_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class SpanQueue(SpanProcessor):
    """See the module for the invariant."""

    def __init__(self, exporter: SpanExporter, *, gather_s: float, size: int = QUEUE) -> None:
        self._exporter = exporter
        self._gather_s = gather_s
        self._waiting: queue.Queue[ReadableSpan | None] = queue.Queue(size)
        self._ending = threading.Event()
        self._is_troubled = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            _NO_ROOM.inc()

    def close(self, timeout_s: float) -> None:
        """Send what waits, for no longer than this."""
        self._ending.set()
        # Wakes a thread that waits; one that has something to do looks by itself.
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(timeout_s)
        self._exporter.shutdown()

    def _run(self) -> None:
        while not (self._ending.is_set() and self._waiting.empty()):
            batch = self._batch()
            if batch:
                self._send(batch)

    def _batch(self) -> list[ReadableSpan]:
        first = self._waiting.get()
        batch = [] if first is None else [first]
        until = time.monotonic() + self._gather_s
        while len(batch) < BATCH:
            left = 0.0 if self._ending.is_set() else until - time.monotonic()
            try:
                following = (
                    self._waiting.get(timeout=left) if left > 0 else self._waiting.get(False)
                )
            except queue.Empty:
                break
            if following is not None:
                batch.append(following)
        return batch

    def _send(self, batch: Sequence[ReadableSpan]) -> None:
        try:
            taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001 -- a span that cannot be written must not end them all
            _log.exception("spans brought out a bug")
            taken = False
        (_TAKEN if taken else _REFUSED).inc(len(batch))
        if taken is self._is_troubled:
            self._is_troubled = not taken
            if taken:
                _log.info("the collector takes spans again")
            else:
                _log.warning("the collector takes no spans; they are dropped and counted")


class OtlpTracer:
    """A `infra.telemetry.tracing.Tracer`."""

    def __init__(self, role: str, endpoint: str, *, gather_s: float) -> None:
        # It tells of every batch and try; the queue tells once.
        logging.getLogger(OTLPSpanExporter.__module__).disabled = True
        exporter = OTLPSpanExporter(endpoint=traces_url(endpoint), timeout=ANSWER_S)
        self._queue = SpanQueue(exporter, gather_s=gather_s)
        named = {"service.namespace": "livepath", "service.name": f"livepath-{role}"}
        resource = Resource.create({**named, "service.version": version("livepath")})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(self._queue)
        self._tracer = self._provider.get_tracer("livepath")

    @contextmanager
    def span(
        self, name: str, kind: Kind, parent: TraceParent | None, link: TraceParent | None
    ) -> Iterator[Span]:
        started = self._tracer.start_span(
            name,
            context=_context_of(parent, is_root=link is not None),
            kind=_KINDS[kind],
            links=[] if link is None else [trace.Link(_remote(link))],
        )
        token = attach(trace.set_span_in_context(started))
        try:
            yield _Started(started)
        except Exception as error:
            started.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            detach(token)
            started.end()

    def current(self) -> TraceParent | None:
        return _of(trace.get_current_span())

    def link(self, other: TraceParent) -> None:
        under_way = trace.get_current_span()
        found = _of(under_way)
        if found is not None and found.trace_id != other.trace_id:
            under_way.add_link(_remote(other))

    def close(self, timeout_s: float) -> None:
        self._queue.close(timeout_s)
        self._provider.shutdown()


class _Started:
    """A `infra.telemetry.tracing.Span`."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        found = _of(self._span)
        return None if found is None else str(found)

    def named(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, attributes: Mapping[str, Value | None]) -> None:
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(name, value)

    def failed(self, why: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, why))


def traces_url(endpoint: str) -> str:
    """Where spans are posted to: `endpoint` is that of the collector, or of its traces."""
    plain = endpoint.rstrip("/")
    return plain if plain.endswith(_PATH) else plain + _PATH


def _context_of(parent: TraceParent | None, *, is_root: bool) -> Context | None:
    """None: whatever is under way."""
    if parent is not None:
        return trace.set_span_in_context(trace.NonRecordingSpan(_remote(parent)), Context())
    return Context() if is_root else None


def _remote(other: TraceParent) -> trace.SpanContext:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if other.sampled else 0)
    return trace.SpanContext(other.trace_id, other.span_id, is_remote=True, trace_flags=flags)


def _of(span: trace.Span) -> TraceParent | None:
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return TraceParent(context.trace_id, context.span_id, sampled=context.trace_flags.sampled)
