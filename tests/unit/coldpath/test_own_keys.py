"""A function's objects are those of its own event, whatever it asks for."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from coldpath.context import JobContext
from coldpath.records import JobResult, NewAsset
from coldpath.runner import Outcome
from infra.db.jobs import Asset
from tests.support.attempts import Bench

OWN = ["vod/p/e/main/c/x.txt", "vod/p/e/other-feed/c/x.txt", "work/p/e/main/i1/kind/x.txt"]
FOREIGN = [
    pytest.param("vod/q/e/main/c/x.txt", "event e of project p", id="another project's"),
    pytest.param("work/p/other/main/i1/kind/x.txt", "event e of project p", id="another event's"),
    pytest.param("live/p/e/main/i1/manifest.json", "keys of functions", id="a recording's"),
    pytest.param("live/p/e/main/i1/source/s1.m4s", "keys of functions", id="a segment's"),
    pytest.param("vod/p/e/main/c/../../../q/x.txt", "keys of functions", id="none"),
    pytest.param("anything.txt", "keys of functions", id="no key"),
]


def listed(bench: Bench) -> list[str]:
    with Session(bench.engine) as session:
        return list(session.scalars(select(Asset.key)))


@pytest.mark.parametrize("key", OWN)
def test_what_is_its_events_may_be_written_and_listed(bench: Bench, key: str) -> None:
    def function(context: JobContext) -> JobResult:
        made = context.put(key, b"made", "text/plain")
        return JobResult(assets=[NewAsset("text", key, "text/plain", made.bytes, None, {})])

    assert bench.given(function).run(bench.job) is Outcome.SUCCEEDED
    assert bench.store.get(key) == b"made"
    assert listed(bench) == [key]


@pytest.mark.parametrize(("key", "why"), FOREIGN)
def test_what_is_not_is_not_written_and_the_job_is_dead(bench: Bench, key: str, why: str) -> None:
    def function(context: JobContext) -> JobResult:
        context.put(key, b"made", "text/plain")
        return JobResult()

    assert bench.given(function).run(bench.job) is Outcome.FAILED
    assert bench.store.head(key) is None
    assert bench.row().state == "dead"
    assert (bench.row().error or "").startswith(f"KeyRefused: test may not make '{key}'")
    assert why in (bench.row().error or "")


@pytest.mark.parametrize(("key", "why"), FOREIGN)
def test_what_is_not_is_not_listed_and_the_job_is_dead(bench: Bench, key: str, why: str) -> None:
    own = NewAsset("text", OWN[0], "text/plain", 4, None, {})
    foreign = NewAsset("text", key, "text/plain", 4, None, {})
    runner = bench.given(lambda _: JobResult(assets=[own, foreign]))
    assert runner.run(bench.job) is Outcome.FAILED
    assert listed(bench) == []
    assert bench.row().state == "dead"
    assert why in (bench.row().error or "")
    assert bench.outcomes() == ["failed"]
    assert runner.run(bench.job) is Outcome.NOT_MINE
