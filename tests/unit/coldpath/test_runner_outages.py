"""Storage or the database away while a job runs: that is not the job's fault."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from coldpath.context import JobContext
from coldpath.errors import PermanentFailure
from coldpath.records import JobResult
from coldpath.runner import AWAY_MOST_MS, AWAY_MS, BUSY_MOST, Outcome
from infra.errors import StorageBusy, StorageError
from tests.support.attempts import Bench


class TestStoreAway:
    """An outage is not the job's fault."""

    @pytest.fixture
    def away(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Empty: the store answers again."""
        away = [True]

        def check() -> None:
            if away:
                raise StorageError("503")

        monkeypatch.setattr(bench.store, "check", check)
        return away

    def test_an_outage_does_not_use_up_the_attempts(self, bench: Bench, away: list[bool]) -> None:
        def function(context: JobContext) -> JobResult:
            if away:
                raise StorageError("PUT: 503")
            return JobResult()

        runner = bench.given(function)
        for _ in range(5):  # it has three
            assert runner.run(bench.job) is Outcome.POSTPONED
            assert (bench.row().state, bench.row().attempt_count) == ("retrying", 0)
            assert bench.row().error == "StorageError: PUT: 503"
            assert runner.run(bench.job) is Outcome.NOT_MINE  # not at once
            bench.set(next_attempt_ms=0)
        away.clear()
        assert runner.run(bench.job) is Outcome.SUCCEEDED
        assert bench.row().attempt_count == 1
        assert bench.outcomes() == ["postponed"] * 5 + ["succeeded"]

    @pytest.mark.usefixtures("away")
    def test_whatever_the_function_makes_of_it(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            raise ValueError("half a picture")

        assert bench.given(function).run(bench.job) is Outcome.POSTPONED

    @pytest.mark.usefixtures("away")
    def test_what_cannot_be_helped_is_dead_all_the_same(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            raise PermanentFailure("no manifest")

        assert bench.given(function).run(bench.job) is Outcome.FAILED
        assert bench.row().state == "dead"

    def test_one_refused_request_counts(self, bench: Bench, away: list[bool]) -> None:
        away.clear()

        def function(context: JobContext) -> JobResult:
            raise StorageError("GET: 403")

        assert bench.given(function).run(bench.job) is Outcome.FAILED
        assert bench.row().attempt_count == 1

    @pytest.mark.usefixtures("away")
    def test_a_zombie_postpones_nothing(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            bench.set(lease_until_ms=0)
            assert bench.ledger.lease(bench.job, "w2/1") is not None
            raise StorageError("PUT: 503")

        assert bench.given(function).run(bench.job) is Outcome.LOST
        assert (bench.row().state, bench.row().attempt_count) == ("leased", 2)


def test_work_that_is_done_is_told_when_the_database_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [OperationalError("UPDATE", {}, OSError("gone")) for _ in range(2)]
    succeed = bench.ledger.succeed

    def when_back(*arguments: Any) -> None:
        if away:
            raise away.pop()
        succeed(*arguments)

    monkeypatch.setattr(bench.ledger, "succeed", when_back)
    assert bench.given(lambda _: JobResult()).run(bench.job) is Outcome.SUCCEEDED
    assert bench.outcomes() == ["succeeded"]


def gone(statement: str) -> OperationalError:
    return OperationalError(statement, {}, OSError("gone"))


class TestBusy:
    """The store answers, but not this request."""

    def test_one_that_is_busy_does_not_count_and_is_left_alone_longer_each_time(
        self, bench: Bench
    ) -> None:
        def function(context: JobContext) -> JobResult:
            raise StorageBusy("PUT: 503 SlowDown")

        runner, pauses = bench.given(function), []
        for _ in range(10):
            assert runner.run(bench.job) is Outcome.POSTPONED
            assert bench.row().attempt_count == 0
            pauses.append((bench.row().next_attempt_ms or 0) - bench.row().updated_ms)
            bench.set(next_attempt_ms=0)
        assert pauses == sorted(pauses)
        assert (pauses[0], pauses[-1]) == (5_000, AWAY_MOST_MS)

    def test_one_that_is_busy_for_ever_counts_at_last(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            raise StorageBusy("GET: 500")

        runner = bench.given(function)
        for _ in range(BUSY_MOST):
            assert runner.run(bench.job) is Outcome.POSTPONED
            bench.set(next_attempt_ms=0)
        assert runner.run(bench.job) is Outcome.FAILED
        assert bench.row().attempt_count == 1

    def test_it_begins_anew_with_a_job_that_is_queued_anew(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            raise StorageBusy("GET: 500")

        runner = bench.given(function)
        for _ in range(3):
            assert runner.run(bench.job) is Outcome.POSTPONED
            bench.set(next_attempt_ms=0)
        assert bench.ledger.cancel(bench.job)
        assert bench.ledger.requeue(bench.job)
        bench.past()
        assert runner.run(bench.job) is Outcome.POSTPONED
        assert (bench.row().next_attempt_ms or 0) - bench.row().updated_ms == AWAY_MS

    def test_attempts_that_a_worker_gave_back_are_no_outage(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            context.checkpoint({})
            raise StorageBusy("GET: 500")

        runner = bench.given(function)
        bench.stopping = True
        for _ in range(3):
            assert runner.run(bench.job) is Outcome.HANDED_BACK
        bench.stopping = False
        assert runner.run(bench.job) is Outcome.POSTPONED
        assert (bench.row().next_attempt_ms or 0) - bench.row().updated_ms == AWAY_MS

    def test_a_database_that_was_away_inside_of_the_function_does_not_count(
        self, bench: Bench
    ) -> None:
        def function(context: JobContext) -> JobResult:
            raise gone("UPDATE jobs")

        assert bench.given(function).run(bench.job) is Outcome.POSTPONED
        assert bench.row().attempt_count == 0


class TestFullDisk:
    """This worker's; another one's may have room."""

    @pytest.mark.parametrize("way", ["found out", "foreseen"])
    def test_it_is_not_the_jobs_fault(self, bench: Bench, way: str) -> None:
        def function(context: JobContext) -> JobResult:
            if way == "foreseen":
                context.require_space(1 << 60)
            Path("/dev/full").write_bytes(b"x")
            return JobResult()

        assert bench.given(function).run(bench.job) is Outcome.POSTPONED
        assert (bench.row().state, bench.row().attempt_count) == ("retrying", 0)
        said = {"found out": "No space left on device", "foreseen": "put LIVEPATH_DATA_DIR on"}
        assert said[way] in (bench.row().error or "")

    def test_one_that_stays_full_counts_at_last(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            context.require_space(1 << 60)
            return JobResult()

        runner = bench.given(function)
        for _ in range(BUSY_MOST):
            assert runner.run(bench.job) is Outcome.POSTPONED
            bench.set(next_attempt_ms=0)
        assert runner.run(bench.job) is Outcome.FAILED
        assert (bench.row().error or "").startswith("NoSpace: ")

    def test_what_fits_is_written(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            context.require_space(1)
            return JobResult()

        assert bench.given(function).run(bench.job) is Outcome.SUCCEEDED


def test_a_delivery_waits_for_a_database_that_is_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, away, owner = bench.given(lambda _: JobResult()), [1, 2], bench.ledger.owner

    def when_back(job: str) -> str | None:
        if away and away.pop():
            raise gone("SELECT")
        return owner(job)

    monkeypatch.setattr(bench.ledger, "owner", when_back)
    assert runner.run(bench.job) is Outcome.SUCCEEDED


def test_a_database_that_stays_away_ends_the_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, lease_ms=1)
    runner = bench.given(lambda _: JobResult())

    def never(job: str) -> str | None:
        raise gone("SELECT")

    monkeypatch.setattr(bench.ledger, "owner", never)
    with pytest.raises(OperationalError):
        runner.run(bench.job)
