"""Spans of this process: what took how long, as part of which trace.

Invariant: while nobody has started tracing, everything here is a look at one attribute, and no
library is loaded: a media node or a command that does not trace pays nothing for those that do.
Nothing here raises for a trace that cannot be used or a collector that is away.

Like logs, the tracer belongs to the process: each role starts it, first thing, with the endpoint
of its settings. The trace of an event is that of the request that created it:

    POST /v1/events → desired state → media node → manifest.json → dispatcher → Celery → worker

A span is the child of `parent`, where that names one, else of the span in which it begins. What
happens every few seconds for hours has a trace of its own and a `link` instead, so that a trace
stays of a size that can be looked at.

Downstream: `infra.telemetry.otlp`.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from infra.telemetry.traceparent import TraceParent, parse

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool
STOP_S = 2.0


class Span(Protocol):
    """One that is under way."""

    @property
    def traceparent(self) -> str | None:
        """What hands the trace on; None while nobody traces."""

    def named(self, name: str) -> None:
        """Its name is known only now."""

    def note(self, attributes: Mapping[str, Value | None]) -> None:
        """What is None is left out. Ids, never secrets."""

    def failed(self, why: str) -> None:
        """`why` is a class of errors, not a message: messages may hold addresses."""


class Tracer(Protocol):
    """Makes spans and sends them off in the background."""

    def span(
        self, name: str, kind: Kind, parent: TraceParent | None, link: TraceParent | None
    ) -> AbstractContextManager[Span]:
        """Of a new trace where there is a link or nothing to be a child of."""

    def current(self) -> TraceParent | None: ...

    def link(self, other: TraceParent) -> None:
        """Say that the current span has to do with another trace."""

    def close(self, timeout_s: float) -> None:
        """Send what waits, for no longer than this."""


class _Nothing:
    """The span of who does not trace."""

    __slots__ = ()

    @property
    def traceparent(self) -> str | None:
        return None

    def named(self, name: str) -> None:
        pass

    def note(self, attributes: Mapping[str, Value | None]) -> None:
        pass

    def failed(self, why: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


@dataclass(slots=True)
class _Process:
    tracer: Tracer | None = None


_NOTHING = _Nothing()
_process = _Process()


def start_tracing(role: str, endpoint: str, *, gather_s: float = 1.0) -> None:
    """Send spans of this process to the collector at `endpoint` (OTLP over HTTP); empty: nowhere.
    What ends within `gather_s` is sent together."""
    if not endpoint:
        return
    # Half a second of imports, for those who trace.
    from infra.telemetry.otlp import OtlpTracer

    stop_tracing()
    _process.tracer = OtlpTracer(role, endpoint, gather_s=gather_s)


def stop_tracing(timeout_s: float = STOP_S) -> None:
    """Send what waits, and trace no more; harmless when nobody traces."""
    tracer, _process.tracer = _process.tracer, None
    if tracer is not None:
        tracer.close(timeout_s)


def is_on() -> bool:
    return _process.tracer is not None


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    link: str | None = None,
) -> AbstractContextManager[Span]:
    """A span over the block; an exception that leaves it makes it a failed one."""
    tracer = _process.tracer
    if tracer is None:
        return _NOTHING
    return tracer.span(name, kind, parse(parent), parse(link))


def link_to(traceparent: str | None) -> None:
    """The span under way, if there is one, has to do with that trace, of which it is no part."""
    tracer = _process.tracer
    other = None if tracer is None else parse(traceparent)
    if tracer is not None and other is not None:
        tracer.link(other)


def current() -> TraceParent | None:
    """The span under way."""
    tracer = _process.tracer
    return None if tracer is None else tracer.current()


def current_traceparent() -> str | None:
    """What hands the trace of the span under way on."""
    found = current()
    return None if found is None else str(found)
