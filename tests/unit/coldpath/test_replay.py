"""The replay function: what it lists, and whose it does not."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldpath.context import Ends, JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.functions.registry import load
from coldpath.ledger import Ledger
from coldpath.records import JobResult
from infra.db.engine import sync_engine
from infra.jobs.filing import requested
from infra.jobs.replay import Replay, digest_of
from infra.keys import ProgramKey
from infra.storage.memory import MemoryObjectStore
from tests.support.databases import migrated_sqlite

KEY = ProgramKey("p", "e")
PLACE = f"vod/{KEY}/c0ffee/replay.json"
SAID = Replay.model_validate(
    {
        "entries": [
            {"at_ms": 1000, "kind": "chat", "data": {"text": "Hello"}},
            {"at_ms": 4000, "kind": "reaction"},
        ]
    }
).text()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    engine = sync_engine(migrated_sqlite(tmp_path))
    yield Ledger(engine)
    engine.dispose()


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


def listed(ledger: Ledger, store: MemoryObjectStore, folder: Path, **params: Any) -> JobResult:
    function = load().get("replay")
    assert function is not None
    wanted = {"key": PLACE, "digest": digest_of(SAID), **params}
    request = requested("replay", KEY, wanted, queue="fast", max_attempts=3, timeout_s=60)
    ledger.file([request])
    lease = ledger.lease(request.id, "w/1")
    assert lease is not None
    result = function.run(JobContext(lease, ledger, store, folder, Ends(threading.Event())))
    assert isinstance(result, JobResult)
    return result


def test_a_stored_replay_becomes_an_asset(
    ledger: Ledger, store: MemoryObjectStore, tmp_path: Path
) -> None:
    store.put(PLACE, SAID, "application/json")
    (asset,) = listed(ledger, store, tmp_path).assets
    assert (asset.kind, asset.key, asset.bytes) == ("replay", PLACE, len(SAID))
    assert asset.duration_ms == 3000
    assert asset.detail == {"entries": 2, "first_ms": 1000, "last_ms": 4000}


def test_an_empty_one_takes_the_place_of_another(
    ledger: Ledger, store: MemoryObjectStore, tmp_path: Path
) -> None:
    empty = Replay(entries=()).text()
    store.put(PLACE, empty, "application/json")
    (asset,) = listed(ledger, store, tmp_path, digest=digest_of(empty)).assets
    assert asset.detail["entries"] == 0


def test_one_that_is_not_there_yet_is_waited_for(
    ledger: Ledger, store: MemoryObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(RetryLater, match="not there yet"):
        listed(ledger, store, tmp_path)


@pytest.mark.parametrize(
    "key",
    [
        "vod/other/e/main/c0ffee/replay.json",
        "vod/p/other/main/c0ffee/replay.json",
        "vod/p/e/guest/c0ffee/replay.json",
        "vod/p/e/main/c0ffee/archive.mp4",
        "vod/p/e/main/c0ffee/../../../other/replay.json",
    ],
)
def test_nothing_but_a_replay_of_the_own_event_is_listed(
    ledger: Ledger, store: MemoryObjectStore, tmp_path: Path, key: str
) -> None:
    store.put(key, SAID, "application/json")
    with pytest.raises(PermanentFailure, match="is no replay of p/e/main"):
        listed(ledger, store, tmp_path, key=key)


def test_what_was_changed_or_is_no_replay_is_refused(
    ledger: Ledger, store: MemoryObjectStore, tmp_path: Path
) -> None:
    store.put(PLACE, b"{}", "application/json")
    with pytest.raises(PermanentFailure, match="other bytes"):
        listed(ledger, store, tmp_path)
    with pytest.raises(PermanentFailure, match="is no replay"):
        listed(ledger, store, tmp_path, digest=digest_of(b"{}"))
    with pytest.raises(PermanentFailure, match="parameters"):
        listed(ledger, store, tmp_path, digest="x")
