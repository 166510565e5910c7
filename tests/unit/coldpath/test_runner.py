"""One job in this process, over a database file and a store in memory."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from coldpath.binding import Registry
from coldpath.context import JobContext, JobFunction
from coldpath.errors import LeaseLost, PermanentFailure, RetryLater, TookTooLong
from coldpath.ledger import Ledger
from coldpath.plan import ObjectVersion, plan
from coldpath.records import JobResult
from coldpath.runner import Outcome, Runner
from infra.db.engine import sync_engine
from infra.db.jobs import Job, JobAttempt
from infra.errors import StorageError
from infra.keys import ManifestKey
from infra.storage.memory import MemoryObjectStore
from tests.support.databases import migrated_sqlite

OBJECT = ObjectVersion("live/p/e/main/i1/manifest.json", "v1")


class Bench:
    """A ledger with one job of one function."""

    def __init__(self, folder: Path, lease_ms: int = 60_000) -> None:
        self.engine: Engine = sync_engine(migrated_sqlite(folder))
        self.ledger = Ledger(self.engine, lease_ms=lease_ms)
        self.store = MemoryObjectStore()
        self.registry: Registry[JobFunction] = Registry()
        self.scratch = folder / "scratch"
        self.job = ""
        self.stopping = False

    def given(self, function: JobFunction) -> Runner:
        self.registry.function("test", on=ManifestKey, max_attempts=3)(function)
        (request,) = self.ledger.file(plan([OBJECT], self.registry))
        self.job = request.id
        return self.runner()

    def runner(self, worker: str = "w1") -> Runner:
        return Runner(
            self.ledger,
            self.store,
            self.registry,
            scratch=self.scratch,
            worker=worker,
            stopping=lambda: self.stopping,
        )

    def row(self) -> Job:
        with Session(self.engine, expire_on_commit=False) as session:
            return session.get_one(Job, self.job)

    def logs(self) -> list[str | None]:
        with Session(self.engine) as session:
            return list(session.scalars(select(JobAttempt.log).order_by(JobAttempt.number)))

    def outcomes(self) -> list[str | None]:
        with Session(self.engine) as session:
            return list(session.scalars(select(JobAttempt.outcome).order_by(JobAttempt.number)))

    def set(self, **values: object) -> None:
        with Session(self.engine) as session, session.begin():
            session.execute(update(Job).where(Job.id == self.job).values(**values))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.engine.dispose()


def test_a_function_works_in_a_folder_of_its_own_that_is_gone_afterwards(bench: Bench) -> None:
    seen: list[Path] = []

    def function(context: JobContext) -> JobResult:
        assert list(context.scratch.iterdir()) == []
        (context.scratch / "big").write_bytes(b"x")
        seen.append(context.scratch)
        context.progress(1, 2)
        assert bench.row().progress == 500
        info = context.put("vod/p/e/main/c/x.txt", b"made", "text/plain")
        return JobResult({"keys": [info.key]})

    assert bench.given(function).run(bench.job) is Outcome.SUCCEEDED
    assert not seen[0].exists()
    assert bench.row().state == "succeeded"
    assert set(bench.row().cost) == {"wall_ms", "cpu_ms", "bytes_in", "bytes_out"}
    assert bench.row().cost["bytes_out"] == 4
    assert bench.runner().run(bench.job) is Outcome.NOT_MINE


def test_an_attempt_that_took_too_long_has_failed_in_words(bench: Bench) -> None:
    def function(context: JobContext) -> JobResult:
        raise TookTooLong

    runner = bench.given(function)
    bench.set(timeout_s=7)
    assert runner.run(bench.job) is Outcome.FAILED
    assert bench.row().state == "retrying"
    assert bench.row().error == "TookTooLong: test took longer than 7 s"


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


def test_an_output_that_exists_is_found_and_left_as_it_is(bench: Bench) -> None:
    bench.store.put("vod/p/e/main/c/x.txt", b"made", "text/plain")

    def function(context: JobContext) -> JobResult:
        return JobResult(
            {"bytes": context.put("vod/p/e/main/c/x.txt", b"made", "text/plain").bytes}
        )

    assert bench.given(function).run(bench.job) is Outcome.SUCCEEDED
    assert bench.row().outputs == {"bytes": 4}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RetryLater("not there yet"), "retrying"),
        (PermanentFailure("no manifest"), "dead"),
        (ZeroDivisionError("a bug"), "retrying"),
    ],
)
def test_a_failure_is_written_down(bench: Bench, error: Exception, state: str) -> None:
    def function(_: JobContext) -> JobResult:
        raise error

    assert bench.given(function).run(bench.job) is Outcome.FAILED
    assert bench.row().state == state
    assert bench.row().error == f"{type(error).__name__}: {error}"


def test_what_an_attempt_logs_is_kept_with_it(bench: Bench) -> None:
    def function(_: JobContext) -> JobResult:
        logging.getLogger("somebody.else").warning("the third segment is odd")
        raise RetryLater("not there yet")

    bench.given(function).run(bench.job)
    (log,) = bench.logs()
    assert log is not None
    assert "WARNING somebody.else: the third segment is odd" in log
    assert "RetryLater: not there yet" in log


def test_the_pause_before_the_next_attempt_is_the_functions_own(bench: Bench) -> None:
    def function(_: JobContext) -> JobResult:
        raise RetryLater("not there yet")

    bench.registry.function("test", on=ManifestKey, backoff_base_ms=90_000)(function)
    (request,) = bench.ledger.file(plan([OBJECT], bench.registry))
    bench.job = request.id
    assert bench.runner().run(bench.job) is Outcome.FAILED
    row = bench.row()
    assert (row.next_attempt_ms or 0) - row.updated_ms == 90_000


class TestCheckpoints:
    """What an attempt has done is not done again, whoever goes on."""

    def test_the_next_attempt_is_told_what_the_last_one_had_done(self, bench: Bench) -> None:
        resumed: list[object] = []

        def function(context: JobContext) -> JobResult:
            resumed.append(dict(context.resumed))
            if context.resumed:
                return JobResult()
            context.checkpoint({"segments": 7})
            raise RetryLater("one is missing")

        runner = bench.given(function)
        assert runner.run(bench.job) is Outcome.FAILED
        bench.set(next_attempt_ms=0)
        assert runner.run(bench.job) is Outcome.SUCCEEDED
        assert resumed == [{}, {"segments": 7}]
        assert bench.row().checkpoint is None

    def test_a_worker_that_has_to_go_hands_the_job_back_at_a_checkpoint(self, bench: Bench) -> None:
        steps: list[int] = []

        def function(context: JobContext) -> JobResult:
            for step in range(context.resumed.get("next", 0), 5):
                steps.append(step)
                bench.stopping = step == 2
                context.checkpoint({"next": step + 1})
            return JobResult()

        runner = bench.given(function)
        assert runner.run(bench.job) is Outcome.HANDED_BACK
        assert (bench.row().state, bench.row().attempt_count) == ("queued", 0)
        assert bench.row().delivery_sent_ms is None
        bench.stopping = False
        assert runner.run(bench.job) is Outcome.SUCCEEDED
        assert steps == [0, 1, 2, 3, 4]
        assert bench.outcomes() == ["handed-back", "succeeded"]

    def test_a_job_without_checkpoints_finishes(self, bench: Bench) -> None:
        bench.stopping = True
        assert bench.given(lambda _: JobResult()).run(bench.job) is Outcome.SUCCEEDED

    def test_a_zombie_writes_no_checkpoint(self, bench: Bench) -> None:
        def function(context: JobContext) -> JobResult:
            bench.set(lease_until_ms=0)
            assert bench.ledger.lease(bench.job, "w2/1") is not None
            context.checkpoint({"by": "zombie"})
            return JobResult()

        assert bench.given(function).run(bench.job) is Outcome.LOST
        assert bench.row().checkpoint is None


def test_a_function_that_this_worker_lacks_waits_for_one_that_has_it(bench: Bench) -> None:
    bench.given(lambda _: JobResult())
    bench.registry = Registry()
    assert bench.runner().run(bench.job) is Outcome.FAILED
    assert bench.row().state == "retrying"
    assert "no function 'test'" in (bench.row().error or "")


def test_an_attempt_that_lost_its_lease_writes_no_object(bench: Bench) -> None:
    def function(context: JobContext) -> JobResult:
        bench.set(lease_until_ms=0)
        assert bench.ledger.lease(bench.job, "w2/1") is not None
        with pytest.raises(LeaseLost):
            context.put("vod/p/e/main/c/x.txt", b"zombie", "text/plain")
        with pytest.raises(LeaseLost):
            context.progress(1, 1)
        return JobResult({"by": "zombie"})

    assert bench.given(function).run(bench.job) is Outcome.LOST
    assert bench.store.head("vod/p/e/main/c/x.txt") is None
    assert (bench.row().state, bench.row().outputs) == ("leased", {})
    assert bench.outcomes() == ["lost", None]


def test_the_lease_is_kept_while_the_function_runs(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lease_ms=300)
    before: list[int] = []

    def function(context: JobContext) -> JobResult:
        first = bench.row().lease_until_ms or 0
        while (bench.row().lease_until_ms or 0) < first + 300:
            context.check()
        before.append(first)
        return JobResult()

    assert bench.given(function).run(bench.job) is Outcome.SUCCEEDED
    assert before
    bench.engine.dispose()


def test_a_cancelled_job_stops_its_function(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lease_ms=300)

    def function(context: JobContext) -> JobResult:
        bench.ledger.cancel(bench.job)
        while True:
            context.check()

    assert bench.given(function).run(bench.job) is Outcome.LOST
    assert (bench.row().state, bench.outcomes()) == ("cancelled", ["cancelled"])
    bench.engine.dispose()


class TestDeadProcesses:
    """A pool process died; Celery hands its delivery out again at once."""

    def dead_pid(self) -> int:
        process = subprocess.Popen([sys.executable, "-S", "-c", ""])
        process.wait()
        return process.pid

    def test_a_process_of_this_worker_that_is_gone_needs_no_waiting(self, bench: Bench) -> None:
        runner = bench.given(lambda _: JobResult())
        assert bench.ledger.lease(bench.job, f"w1/{self.dead_pid()}") is not None
        assert runner.run(bench.job) is Outcome.SUCCEEDED
        assert bench.outcomes() == ["lost", "succeeded"]

    def test_a_live_process_keeps_its_job(self, bench: Bench) -> None:
        runner = bench.given(lambda _: JobResult())
        assert bench.ledger.lease(bench.job, f"w1/{os.getppid()}") is not None
        assert runner.run(bench.job) is Outcome.NOT_MINE

    def test_of_another_worker_nothing_is_known(self, bench: Bench) -> None:
        runner = bench.given(lambda _: JobResult())
        assert bench.ledger.lease(bench.job, f"w2/{self.dead_pid()}") is not None
        assert runner.run(bench.job) is Outcome.NOT_MINE
