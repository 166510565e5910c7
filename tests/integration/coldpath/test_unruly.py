"""Functions whose words and results no database takes as they are, on both kinds.

Whatever a function does, its attempt ends in words, at once: none is taken for a worker that died.
"""

import logging
import subprocess
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from coldpath.binding import Registry
from coldpath.context import JobContext, JobFunction
from coldpath.errors import RetryLater
from coldpath.ledger import Ledger
from coldpath.plan import ObjectVersion, plan
from coldpath.records import JobResult, NewAsset
from coldpath.runner import Outcome, Runner
from infra.db.jobs import Job, JobAttempt
from infra.keys import ManifestKey
from infra.storage.memory import MemoryObjectStore

pytestmark = pytest.mark.integration

log = logging.getLogger("a.function")
INPUT = ObjectVersion("live/p/e/main/i1/manifest.json", "v1")
Run = Callable[[JobFunction], tuple[Outcome, Job, JobAttempt]]


@contextmanager
def unheard() -> Iterator[None]:
    """Who else listens to the log meanwhile hears nothing: pytest could not send such words from
    the process of one of its workers."""
    root = logging.getLogger()
    root.handlers, listening = [], root.handlers
    try:
        yield
    finally:
        root.handlers = listening


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Run:
    """Makes one attempt at a job of the function."""

    def once(function: JobFunction) -> tuple[Outcome, Job, JobAttempt]:
        functions: Registry[JobFunction] = Registry()
        functions.function("unruly", on=ManifestKey, max_attempts=3)(function)
        ledger = Ledger(engine)
        (request,) = ledger.file(plan([INPUT], functions))
        runner = Runner(ledger, MemoryObjectStore(), functions, scratch=tmp_path, worker="w")
        with unheard():
            outcome = runner.run(request.id)
        with Session(engine, expire_on_commit=False) as session:
            attempt = session.scalars(select(JobAttempt)).one()
            return outcome, session.get_one(Job, request.id), attempt

    return once


def asset(**changed: Any) -> JobResult:
    given: dict[str, Any] = {
        **{"kind": "text", "key": "vod/p/e/main/c/x", "content_type": "text/plain"},
        **{"bytes": 1, "duration_ms": None, "detail": {}},
        **changed,
    }
    return JobResult(assets=[NewAsset(**given)])


def test_binary_output_of_a_program_is_kept_in_the_log(run: Run) -> None:
    written = "import os; os.write(1, bytes([0, 255, 10]) + 'ü'.encode())"

    def function(context: JobContext) -> JobResult:
        done = subprocess.run(
            [sys.executable, "-S", "-c", written], capture_output=True, check=True
        )
        log.warning("it wrote %s", done.stdout.decode(errors="surrogateescape"))
        return JobResult()

    outcome, job, attempt = run(function)
    assert (outcome, job.state) == (Outcome.SUCCEEDED, "succeeded")
    assert "it wrote \ufffd\ufffd\nü" in (attempt.log or "")


def test_an_error_with_such_words_is_kept(run: Run) -> None:
    def function(context: JobContext) -> JobResult:
        raise RetryLater("half \ud83d and nothing \0")

    outcome, job, attempt = run(function)
    assert (outcome, job.state) == (Outcome.FAILED, "retrying")
    assert job.error == attempt.error == "RetryLater: half \ufffd and nothing \ufffd"


class Wordless(Exception):
    def __str__(self) -> str:
        raise ValueError("nothing to say")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (Wordless(), "Wordless: (its words cannot be had)"),
        (SystemExit(3), "ended its process: SystemExit: 3"),
        (SystemExit("usage: x"), "ended its process: SystemExit: usage: x"),
        (CancelledError(), "ended its process: CancelledError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_raised_is_a_failure(run: Run, raised: BaseException, said: str) -> None:
    def function(context: JobContext) -> JobResult:
        raise raised

    outcome, job, attempt = run(function)
    assert (outcome, job.state, attempt.outcome) == (Outcome.FAILED, "retrying", "failed")
    assert said in (job.error or "")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (JobResult({"picture": b"\xff"}), "the outputs cannot be kept as JSON"),
        (JobResult({"loudness": float("-inf")}), "the outputs cannot be kept as JSON"),
        (JobResult({"name": "\udcff"}), "the outputs cannot be kept as JSON"),
        (JobResult({"keys": ["x" * 1024] * 1024}), "put what is large into objects"),
        (asset(detail={"at": float("nan")}), "the facts of asset vod/p/e/main/c/x"),
        (asset(kind="k" * 17), "must be text of at most 16"),
        (asset(content_type="text/\0"), "must be text of at most 128"),
        (asset(bytes=1 << 63), "bytes of asset vod/p/e/main/c/x"),
        (asset(duration_ms=-1), "duration_ms of asset vod/p/e/main/c/x"),
        (asset(bytes=1.5), "bytes of asset vod/p/e/main/c/x"),
        (None, "returned NoneType, not a JobResult"),
    ],
)
def test_a_result_that_cannot_be_kept_is_dead_at_once(run: Run, returned: Any, said: str) -> None:
    outcome, job, attempt = run(lambda _: returned)
    assert (outcome, job.state, attempt.outcome) == (Outcome.FAILED, "dead", "failed")
    assert (job.error or "").startswith("ResultRefused: ")
    assert said in (job.error or "")


def test_a_checkpoint_that_cannot_be_kept_is_refused(run: Run) -> None:
    def function(context: JobContext) -> JobResult:
        context.checkpoint({"done": {1, 2}})
        return JobResult()

    _, job, _ = run(function)
    assert (job.state, job.checkpoint) == ("dead", None)
    assert "what the checkpoint notes cannot be kept as JSON" in (job.error or "")
