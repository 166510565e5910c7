"""Which trace a job is part of."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from coldpath.ledger import Ledger
from coldpath.traces import Traces
from infra.db.control import Event, Project
from infra.db.engine import sync_engine
from infra.jobs.filing import JobRequest
from infra.manifest import SessionManifest
from infra.storage.memory import MemoryObjectStore
from infra.telemetry.tracing import start_tracing, stop_tracing
from tests.support.collector import Collector
from tests.support.databases import migrated_sqlite

EVENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NODES = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
FOLDER = "live/p/ev_1/main/i1"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = sync_engine(migrated_sqlite(tmp_path))
    with Session(engine) as session, session.begin():
        session.add(Project(id="p", name="P", organisation="o", created_ms=1))
        session.flush()
        fixed = {"project": "p", "name": "E", "access": "public", "kid": "k", "created_ms": 1}
        session.add(Event(id="ev_1", traceparent=EVENTS, updated_ms=1, **fixed))
        session.add(Event(id="ev_2", updated_ms=1, **fixed))
    yield engine
    engine.dispose()


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def traces(engine: Engine, store: MemoryObjectStore) -> Traces:
    return Traces(store, Ledger(engine))


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        start_tracing("test", made.url, gather_s=0.01)
        yield made
        stop_tracing()


def request(key: str, job: str = "job_1", event: str = "ev_1") -> JobRequest:
    return JobRequest(
        id=job,
        function="archive",
        project="p",
        event=event,
        feed="main",
        input_key=key,
        input_version="v1",
        queue="fast",
        max_attempts=3,
    )


def manifest(traceparent: str | None) -> bytes:
    made = SessionManifest(
        project="p",
        event="ev_1",
        feed="main",
        incarnation="i1",
        final=True,
        started_ns=1,
        ended_ns=2,
        target_duration_s=2,
        renditions=(),
        traceparent=traceparent,
    )
    return made.model_dump_json().encode()


def test_nothing_is_asked_where_nobody_traces(traces: Traces, store: MemoryObjectStore) -> None:
    asked = [request(f"{FOLDER}/manifest.json")]
    assert traces.of(asked) is asked


def test_a_programme_goes_on_with_the_trace_of_its_manifest(
    collector: Collector, traces: Traces, store: MemoryObjectStore
) -> None:
    store.put(f"{FOLDER}/manifest.json", manifest(NODES), "application/json")
    (found,) = traces.of([request(f"{FOLDER}/manifest.json")])
    span = collector.one("file job")
    assert (span.trace, span.parent) == (NODES[3:35], NODES[36:52])
    assert found.traceparent == f"00-{span.trace}-{span.id}-01"
    assert replace(found, traceparent=None) == request(f"{FOLDER}/manifest.json")


@pytest.mark.parametrize("told", [None, "garbage"])
def test_without_one_in_the_manifest_with_that_of_the_event(
    collector: Collector, traces: Traces, store: MemoryObjectStore, told: str | None
) -> None:
    store.put(f"{FOLDER}/manifest.json", manifest(told), "application/json")
    (found,) = traces.of([request(f"{FOLDER}/manifest.json")])
    assert found.traceparent is not None
    assert collector.one("file job").parent == EVENTS[36:52]


def test_without_a_manifest_or_an_event_with_one_of_its_own(
    collector: Collector, traces: Traces
) -> None:
    (found,) = traces.of([request("live/p/ev_2/main/i1/manifest.json", event="ev_2")])
    span = collector.one("file job")
    assert (span.parent, span.links) == ("", ())
    assert found.traceparent == f"00-{span.trace}-{span.id}-01"


def test_work_on_what_was_made_goes_on_with_the_trace_of_the_event(
    collector: Collector, traces: Traces
) -> None:
    traces.of([request("vod/p/ev_1/main/c/index.m3u8")])
    assert collector.one("file job").parent == EVENTS[36:52]


def test_a_segment_has_a_trace_of_its_own_beside_the_event(
    collector: Collector, traces: Traces
) -> None:
    traces.of([request(f"{FOLDER}/video/s7.m4s")])
    span = collector.one("file job")
    assert (span.parent, span.links) == ("", (EVENTS[3:35],))
    assert span.trace != EVENTS[3:35]


def test_a_known_job_keeps_its_trace(
    collector: Collector, traces: Traces, engine: Engine, store: MemoryObjectStore
) -> None:
    store.put(f"{FOLDER}/manifest.json", manifest(NODES), "application/json")
    known = request(f"{FOLDER}/manifest.json")
    Ledger(engine).file(traces.of([known]))
    assert traces.of([known]) == [known]
    assert re.fullmatch("[0-9a-f]{16}", collector.one("file job").id)
