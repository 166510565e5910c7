"""Whose a job is: leases that are kept, lost, cancelled, or of processes that are dead."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coldpath.context import JobContext
from coldpath.errors import LeaseLost
from coldpath.records import JobResult
from coldpath.runner import Outcome
from tests.support.attempts import Bench


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
