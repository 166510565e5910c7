"""One job in this process: its folder, its failures, its log and its checkpoints."""

import logging
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from coldpath.binding import Registry
from coldpath.context import JobContext
from coldpath.errors import PermanentFailure, RetryLater, TookTooLong
from coldpath.plan import plan
from coldpath.records import JobResult, Lease, NewAsset
from coldpath.runner import Outcome
from infra.keys import ManifestKey
from tests.support.attempts import OBJECT, Bench


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


def test_a_result_that_the_database_refuses_has_failed(bench: Bench) -> None:
    with bench.engine.begin() as connection:
        connection.execute(
            text("CREATE TRIGGER t BEFORE INSERT ON assets BEGIN SELECT RAISE(ABORT, 'no'); END")
        )
    made = NewAsset("text", "vod/p/e/main/c/x.txt", "text/plain", 4, None, {})
    assert bench.given(lambda _: JobResult(assets=[made])).run(bench.job) is Outcome.FAILED
    assert (bench.row().state, bench.outcomes()) == ("retrying", ["failed"])
    assert (bench.row().error or "").startswith("IntegrityError: ")


def test_progress_is_written_a_few_times_a_second(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    progress = bench.ledger.progress

    def counted(lease: Lease, thousandths: int) -> None:
        written.append(thousandths)
        progress(lease, thousandths)

    monkeypatch.setattr(bench.ledger, "progress", counted)

    def function(context: JobContext) -> JobResult:
        began = time.monotonic()
        for done in range(20_000):
            context.progress(done, 20_000)
        return JobResult({"seconds": time.monotonic() - began})

    assert bench.given(function).run(bench.job) is Outcome.SUCCEEDED
    assert 1 <= len(written) <= 1 + bench.row().outputs["seconds"] / 0.25
    assert written == sorted(written)


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
