"""What happens to an attempt while it sends a large file in parts, to a real store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coldpath.context import JobContext
from coldpath.errors import TookTooLong
from coldpath.records import JobResult
from coldpath.runner import Outcome, Runner
from infra.storage import s3, s3_puts
from infra.storage.objects import ObjectStore
from infra.storage.s3 import S3ObjectStore
from tests.support.attempts import Bench

pytestmark = pytest.mark.integration

KEY = "vod/p/e/main/c/archive.mp4"
CONTENT = bytes(range(251)) * 50_000
"""Three parts."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.engine.dispose()


@pytest.fixture
def runner(bench: Bench, s3_store: ObjectStore) -> Runner:
    """Of a worker whose function uploads a file."""

    def function(context: JobContext) -> JobResult:
        path = context.scratch / "archive.mp4"
        path.write_bytes(CONTENT)
        return JobResult({"bytes": context.put(KEY, path, "video/mp4").bytes})

    bench.given(function)
    return Runner(bench.ledger, s3_store, bench.registry, scratch=bench.scratch, worker="w1")


@pytest.fixture
def in_the_middle(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens, once, when one part is there and another one is about to go."""
    happens: list[Callable[[], None]] = []
    parts: list[bytes] = []
    md5 = s3_puts._content_md5

    def at_each(part: bytes) -> str:
        parts.append(part)
        if len(parts) == 2 and happens:
            happens.pop()()
        return md5(part)

    # S3 allows no part below 5 MiB except the last.
    monkeypatch.setattr(s3_puts, "PART_BYTES", 5 * 1024 * 1024)
    monkeypatch.setattr(s3, "SINGLE_PUT_MAX", 5 * 1024 * 1024)
    monkeypatch.setattr(s3_puts, "_content_md5", at_each)
    return happens


def left_parts(store: ObjectStore) -> list[str]:
    assert isinstance(store, S3ObjectStore)
    listed = store._quick.list_multipart_uploads(Bucket=store.location.bucket)
    return [upload["Key"] for upload in listed.get("Uploads", [])]


def test_one_whose_lease_is_lost_reports_nothing_and_its_heir_finds_the_object(
    bench: Bench, runner: Runner, s3_store: ObjectStore, in_the_middle: list[Callable[[], None]]
) -> None:
    def lose() -> None:
        bench.set(lease_until_ms=0)
        assert bench.ledger.lease(bench.job, "w2/1") is not None

    in_the_middle.append(lose)
    assert runner.run(bench.job) is Outcome.LOST
    assert (bench.row().state, bench.row().outputs) == ("leased", {})
    bench.set(lease_until_ms=0)
    assert runner.run(bench.job) is Outcome.SUCCEEDED
    assert bench.row().outputs == {"bytes": len(CONTENT)}
    assert bench.outcomes() == ["lost", "lost", "succeeded"]
    assert s3_store.get(KEY) == CONTENT
    assert left_parts(s3_store) == []


def test_one_that_takes_too_long_leaves_no_parts(
    bench: Bench, runner: Runner, s3_store: ObjectStore, in_the_middle: list[Callable[[], None]]
) -> None:
    def too_long() -> None:
        raise TookTooLong

    in_the_middle.append(too_long)
    assert runner.run(bench.job) is Outcome.FAILED
    assert s3_store.head(KEY) is None
    assert left_parts(s3_store) == []
    bench.set(next_attempt_ms=0)
    assert runner.run(bench.job) is Outcome.SUCCEEDED
