"""A spool, and an uploader that looks often and gives up soon."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotpath.hls import uploader_schedule
from tests.support.spool import Node
from tests.support.uploading import FaultyStore, Run, Running


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def run(tmp_path: Path, store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(uploader_schedule, "SCAN_S", 0.05)
    monkeypatch.setattr(uploader_schedule, "BACKOFF_MAX_S", 0.1)
    started: list[Running] = []

    def start(slots: int = 4) -> Running:
        started.append(Running(tmp_path, store, slots))
        return started[-1]

    yield start
    store.hold.set()
    for running in started:
        running.stop()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    assert node.spool.close(10)
