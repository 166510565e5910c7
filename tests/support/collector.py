"""A collector of spans that takes OTLP over HTTP with protobuf, as OpenTelemetry's own does."""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One span as it came; ids in hexadecimal."""

    name: str
    trace: str
    id: str
    parent: str
    """Empty: it has none."""
    kind: int
    service: str
    attributes: Mapping[str, Any]
    links: tuple[str, ...]
    """Traces."""
    failed: str | None
    """Why; None: it did not fail."""
    headers: Mapping[str, str] = field(repr=False)
    """Of the request that it came with."""


class Collector:
    """Listens on a free port."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.status = 200
        """What is answered; with anything else nothing is taken."""
        self.asked = 0
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Seen:
        """The only span of this name, once it has come."""
        self.until(name)
        (found,) = self.named(name)
        return found

    def until(self, *names: str) -> None:
        """Wait until there is a span of each name, as many as it is given."""
        until = time.monotonic() + PATIENCE_S

        def missing() -> set[str]:
            return {name for name in names if len(self.named(name)) < names.count(name)}

        with self._changed:
            while missing():
                left = until - time.monotonic()
                assert left > 0, f"no {missing()} among {sorted(span.name for span in self.spans)}"
                self._changed.wait(left)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: bytes, headers: Mapping[str, str]) -> None:
        told = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            for of in told.resource_spans:
                service = str(_values(of.resource.attributes)["service.name"])
                for scope in of.scope_spans:
                    self.spans += [_seen(span, service, headers) for span in scope.spans]
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked += 1
                if collector.status == 200:
                    assert self.path == "/v1/traces"
                    assert self.headers["Content-Type"] == "application/x-protobuf"
                    collector.take(body, dict(self.headers))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(collector.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _seen(span: Span, service: str, headers: Mapping[str, str]) -> Seen:
    failed = span.status.code == Status.STATUS_CODE_ERROR
    return Seen(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        service=service,
        attributes=_values(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
        failed=span.status.message if failed else None,
        headers=headers,
    )


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in attributes
    }
