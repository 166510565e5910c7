"""What a worker does when it ends."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from coldpath import worker as worker_module
from coldpath.app import JOB_TASK
from coldpath.ledger import Ledger
from coldpath.runner import Outcome, Runner
from coldpath.worker import Worker
from infra.settings import WorkerSettings


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(WorkerSettings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/x.db"))


@pytest.fixture
def hand_backs(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """The database is away for so many tries; returns those that were made."""

    def away_for(tries: int) -> list[str]:
        made: list[str] = []

        def hand_back(_: Ledger, name: str) -> list[str]:
            made.append(name)
            if len(made) <= tries:
                raise OperationalError("UPDATE", {}, OSError("gone"))
            return ["job_a"]

        monkeypatch.setattr(Ledger, "hand_back", hand_back)
        return made

    return away_for


def test_it_hands_back_when_the_database_is_there_again(
    worker: Worker, hand_backs: Callable[[int], list[str]]
) -> None:
    made = hand_backs(2)
    worker._hand_back()
    assert len(made) == 3


def test_it_ends_in_order_without_a_database(
    worker: Worker,
    hand_backs: Callable[[int], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker_module, "HAND_BACK_S", 0.0)
    hand_backs(1_000)
    worker._hand_back()
    assert "leases run out instead" in caplog.text


def test_a_delivery_hands_its_trace_on(worker: Worker) -> None:
    ran: list[tuple[str, str | None]] = []

    class Asked(Runner):
        def __init__(self) -> None:
            """Nothing is run."""

        def run(self, job: str, traceparent: str | None = None) -> Outcome:
            ran.append((job, traceparent))
            return Outcome.SUCCEEDED

    worker._register()
    worker._runner = Asked()
    task = worker._app.tasks[JOB_TASK]
    for headers in ({"traceparent": "00-ab-cd-01"}, None):
        task.push_request(headers=headers)
        assert task.run("job_1") == "succeeded"
        task.pop_request()
    assert ran == [("job_1", "00-ab-cd-01"), ("job_1", None)]
