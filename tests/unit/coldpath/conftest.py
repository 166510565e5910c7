"""What functions run over: a ledger in a file, and a store in memory that counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coldpath.functions import captions
from coldpath.ledger import Ledger
from coldpath.media import speech
from infra.db.engine import sync_engine
from infra.events.captions import HeardWindow
from tests.support.attempts import Bench
from tests.support.beeps import Ear, Job
from tests.support.databases import migrated_sqlite
from tests.support.functions import CountingStore


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    engine = sync_engine(migrated_sqlite(tmp_path))
    yield Ledger(engine)
    engine.dispose()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.engine.dispose()


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Ear:
    made = Ear()
    monkeypatch.setattr(speech, "model_folder", lambda _: Path("/models/beeps"))
    monkeypatch.setattr(speech, "voice", lambda *named: f"beeps-{named}")
    monkeypatch.setattr(speech, "transcriber", lambda *_: made)
    return made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[HeardWindow]:
    windows: list[HeardWindow] = []
    monkeypatch.setattr(captions, "announce", lambda _, window: windows.append(window))
    return windows


@pytest.fixture
def job(
    ledger: Ledger, store: CountingStore, tmp_path: Path, ear: Ear, told: list[HeardWindow]
) -> Job:
    """Attempts at captions, heard by `ear` and told to `told`."""
    return Job(ledger, store, tmp_path)
