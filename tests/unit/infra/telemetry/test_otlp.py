"""Spans on their way out: bounded, in batches, never in anybody's way."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer
from prometheus_client import REGISTRY

from infra.telemetry import otlp
from infra.telemetry.otlp import SpanQueue, traces_url


class Exporter(SpanExporter):
    """Takes spans as long as `open` is set; answers what a test says."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.result = SpanExportResult.SUCCESS
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.began = threading.Semaphore(0)
        self.closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.began.release()
        assert self.open.wait(20)
        if self.error is not None:
            raise self.error
        self.batches.append([span.name for span in spans])
        return self.result

    def shutdown(self) -> None:
        self.closed = True


@pytest.fixture
def exporter() -> Exporter:
    return Exporter()


Made = tuple[Tracer, SpanQueue]


@pytest.fixture
def make(exporter: Exporter) -> Iterator[Callable[[int], Made]]:
    queues: list[SpanQueue] = []

    def made(size: int) -> Made:
        spans = SpanQueue(exporter, gather_s=0.01, size=size)
        queues.append(spans)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(spans)
        return provider.get_tracer("test"), spans

    yield made
    exporter.open.set()
    for spans in queues:
        spans.close(10)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("livepath_spans_total", {"outcome": outcome}) or 0.0


def test_what_waits_is_sent_when_it_is_closed(
    exporter: Exporter, make: Callable[[int], Made]
) -> None:
    tracer, spans = make(100)
    for number in range(5):
        tracer.start_span(f"s{number}").end()
    spans.close(10)
    assert [name for batch in exporter.batches for name in batch] == ["s0", "s1", "s2", "s3", "s4"]
    assert exporter.closed


def test_batches_are_bounded(
    exporter: Exporter, make: Callable[[int], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "BATCH", 2)
    tracer, spans = make(100)
    for _ in range(5):
        tracer.start_span("s").end()
    spans.close(10)
    assert sum(map(len, exporter.batches)) == 5
    assert max(map(len, exporter.batches)) == 2


def test_a_collector_that_hangs_costs_spans_and_no_time(
    exporter: Exporter, make: Callable[[int], Made]
) -> None:
    before = counted("queue-full")
    exporter.open.clear()
    tracer, spans = make(3)
    tracer.start_span("first").end()
    assert exporter.began.acquire(timeout=20)
    for _ in range(10):
        tracer.start_span("s").end()
    assert counted("queue-full") - before == 7
    # It is still hanging.
    spans.close(0.01)
    assert exporter.batches == []


def test_a_collector_that_takes_nothing_is_told_of_once(
    exporter: Exporter, make: Callable[[int], Made], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before, taken = counted("not-taken"), counted("taken")
    exporter.result = SpanExportResult.FAILURE
    tracer, spans = make(100)
    for _ in range(2):
        tracer.start_span("s").end()
        assert exporter.began.acquire(timeout=20)
    exporter.open.clear()
    tracer.start_span("s").end()
    assert exporter.began.acquire(timeout=20)
    exporter.result = SpanExportResult.SUCCESS
    exporter.open.set()
    spans.close(10)
    assert counted("not-taken") - before == 2
    assert counted("taken") - taken == 1
    assert [record.message for record in caplog.records] == [
        "the collector takes no spans; they are dropped and counted",
        "the collector takes spans again",
    ]


def test_a_span_that_cannot_be_written_ends_nothing(
    exporter: Exporter, make: Callable[[int], Made], caplog: pytest.LogCaptureFixture
) -> None:
    exporter.error = TypeError("a bug")
    tracer, spans = make(100)
    tracer.start_span("s").end()
    assert exporter.began.acquire(timeout=20)
    tracer.start_span("s").end()
    assert exporter.began.acquire(timeout=20)
    spans.close(10)
    assert "spans brought out a bug" in caplog.text


@pytest.mark.parametrize(
    "endpoint",
    ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces", "http://c:4318/v1/traces/"],
)
def test_the_address_of_a_collector_or_of_its_traces(endpoint: str) -> None:
    assert traces_url(endpoint) == "http://c:4318/v1/traces"
