"""What a worker does when it ends."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from coldpath import worker as worker_module
from coldpath.ledger import Ledger
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
