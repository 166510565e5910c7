"""The uploader's loop over a store in memory that can be made to fail."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotpath.hls import uploader_schedule
from hotpath.hls.spool import Spool
from hotpath.hls.spool_journal import Journal
from hotpath.hls.spool_recovery import recover
from hotpath.hls.uploader_schedule import Uploader
from infra.errors import StorageError
from infra.manifest import SessionManifest
from infra.storage.memory import MemoryObjectStore
from tests.support.spool import Feed, folder, open_session, segment_bytes

WAIT_S = 20


class FaultyStore(MemoryObjectStore):
    """Records the order of successful puts; refuses what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.refused: set[str] = set()
        self.order: list[str] = []
        self.attempts: list[str] = []
        self.hold = threading.Event()
        self.hold.set()

    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        self.attempts.append(key)
        assert self.hold.wait(WAIT_S)
        self.check()
        if key in self.refused:
            raise StorageError(f"PUT {key}: refused")
        etag = super().put(key, data, content_type, exclusive=exclusive)
        self.order.append(key)
        return etag

    def check(self) -> None:
        if self.down:
            raise StorageError("connection refused")


class Running:
    """An uploader on a thread."""

    def __init__(self, root: Path, store: FaultyStore, slots: int = 4) -> None:
        self.root, self.store = root, store
        (root / "live").mkdir(parents=True, exist_ok=True)
        self.uploader = Uploader(root, store, slots)
        self._thread = threading.Thread(target=self.uploader.run)
        self._thread.start()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert self._thread.is_alive()
            assert time.monotonic() < deadline, (self.store.order, files(self.root))
            time.sleep(0.01)

    def until_empty(self) -> None:
        self.until(lambda: not files(self.root))

    def stop(self) -> None:
        self.uploader.stop()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


def files(root: Path) -> list[str]:
    # os.walk, because folders vanish while we look
    found = [Path(at, name) for at, _, names in os.walk(root / "live") for name in names]
    return sorted(str(path.relative_to(root)) for path in found)


def record(
    root: Path,
    msns: range,
    incarnation: str = "m1",
    *,
    final: bool = True,
    seal: bool = True,
    renditions: tuple[str, ...] = ("video",),
) -> None:
    spool = Spool(root, 1 << 30, lambda *_: None, lambda *_: None)
    session = open_session(spool, incarnation)
    Feed(session, renditions).segments(msns)
    if seal:
        session.seal(final=final)
    assert spool.close()


def key(name: str, incarnation: str = "m1") -> str:
    return f"live/default/ev_a/main/{incarnation}/{name}"


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader_schedule, "SCAN_S", 0.05)
    monkeypatch.setattr(uploader_schedule, "BACKOFF_MAX_S", 0.1)


@pytest.fixture
def run(tmp_path: Path, store: FaultyStore) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(slots: int = 4) -> Running:
        started.append(Running(tmp_path, store, slots))
        return started[-1]

    yield start
    store.hold.set()
    for running in started:
        running.stop()


Run = Callable[..., Running]


def test_everything_arrives_and_the_spool_is_empty(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    record(tmp_path, range(5), renditions=("video", "audio"))
    run().until(lambda: not list((tmp_path / "live").iterdir()))
    for name in ("video", "audio"):
        assert store.get(key(f"{name}/init-0.mp4")) == f"init of {name}".encode()
        for msn in range(5):
            assert store.get(key(f"{name}/s{msn}.m4s")) == segment_bytes(name, msn)
    manifest = SessionManifest.model_validate_json(store.get(key("manifest.json")))
    assert [len(entry.segments) for entry in manifest.renditions] == [5, 5]
    assert store.order[-1] == key("manifest.json")
    assert len(store.order) == len(set(store.order)) == 13


def test_one_connection_sends_in_the_order_of_ingest(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    record(tmp_path, range(12))
    run(slots=1).until_empty()
    expected = ["video/init-0.mp4", *(f"video/s{n}.m4s" for n in range(12)), "manifest.json"]
    assert store.order == [key(name) for name in expected]


def test_a_live_session_is_uploaded_while_it_grows(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    running = run()
    spool = Spool(tmp_path, 1 << 30, lambda *_: None, lambda *_: None)
    session = open_session(spool)
    feed = Feed(session)
    for msn in range(3):
        feed.segment(msn)
        running.until(lambda count=msn + 2: len(store.order) == count)  # type: ignore[misc]
    feed.part("video", 3, 0)
    assert spool.flush(10)
    assert folder(tmp_path).journal.exists()
    assert key("manifest.json") not in store.order
    session.seal(final=True)
    running.until_empty()
    assert store.order[-1] == key("manifest.json")
    assert spool.close()


def test_an_outage_delays_and_loses_nothing(tmp_path: Path, store: FaultyStore, run: Run) -> None:
    store.down = True
    running = run()
    record(tmp_path, range(8))
    running.until(lambda: len(store.attempts) >= 4)
    before = files(tmp_path)
    assert store.order == []
    assert sum(name.endswith(".m4s") for name in before) == 8
    store.down = False
    running.until_empty()
    assert len(store.order) == len(set(store.order)) == 10
    assert store.order[-1] == key("manifest.json")


def test_an_outage_is_probed_with_one_upload_at_a_time(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    store.down = True
    record(tmp_path, range(8))
    running = run()
    running.until(lambda: len(store.attempts) >= 10)
    assert set(store.attempts[4:]) == {key("video/init-0.mp4")}


def test_one_refused_object_does_not_hold_up_the_others(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    store.refused = {key("video/s1.m4s")}
    record(tmp_path, range(5))
    running = run()
    running.until(lambda: len(store.order) == 5)
    assert key("manifest.json") not in store.order
    store.refused = set()
    running.until_empty()
    assert store.order[-2:] == [key("video/s1.m4s"), key("manifest.json")]


class TestTakenKeys:
    def test_the_same_bytes_count_as_stored(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        record(tmp_path, range(3))
        store.put(key("video/s1.m4s"), segment_bytes("video", 1), "video/mp4")
        run().until_empty()
        assert store.get(key("video/s1.m4s")) == segment_bytes("video", 1)
        assert not (tmp_path / "conflicts").exists()

    def test_other_bytes_are_never_overwritten_nor_thrown_away(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        record(tmp_path, range(3))
        store.put(key("video/s1.m4s"), b"someone else's", "video/mp4")
        run().until_empty()
        assert store.get(key("video/s1.m4s")) == b"someone else's"
        aside = tmp_path / "conflicts" / key("video/s1.m4s")
        assert aside.read_bytes() == segment_bytes("video", 1)
        assert store.order[-1] == key("manifest.json")


def test_manifests_go_in_the_order_of_the_incarnations(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    record(tmp_path, range(3), "m1", seal=False)
    record(tmp_path, range(3, 6), "m2")
    running = run()
    running.until(lambda: len(store.order) == 8)
    assert not [name for name in store.order if name.endswith("json")]
    recover(tmp_path)
    running.until_empty()
    assert store.order[-2:] == [key("manifest.json", "m1"), key("manifest.json", "m2")]


class TestRestart:
    def test_noted_files_are_not_sent_again(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        # A crash between the note and the deletion.
        record(tmp_path, range(3))
        with Journal(folder(tmp_path).acks) as acks:
            acks.append({"key": key("video/s0.m4s"), "bytes": 4000})
        run().until_empty()
        assert key("video/s0.m4s") not in store.attempts

    def test_a_session_that_was_half_removed_goes(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        record(tmp_path, range(2))
        with Journal(folder(tmp_path).acks) as acks:
            names = ["video/init-0.mp4", "video/s0.m4s", "video/s1.m4s", "manifest.json"]
            acks.append(*({"key": key(name), "bytes": 1} for name in names))
        left = tmp_path / "done" / "default-ev_a-main-m0"
        left.mkdir(parents=True)
        (left / "journal.jsonl").write_bytes(b"")
        run().until_empty()
        assert not left.exists()
        assert store.attempts == []

    def test_stopping_waits_for_what_is_in_flight(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        store.hold.clear()
        record(tmp_path, range(8))
        running = run(slots=2)
        running.until(lambda: len(store.attempts) == 2)
        running.uploader.stop()
        store.hold.set()
        running.stop()
        assert len(store.attempts) == len(store.order) == 2
        assert len([n for n in files(tmp_path) if n.endswith((".m4s", ".mp4"))]) == 7

    def test_stopping_gives_up_on_a_dead_connection(
        self, tmp_path: Path, store: FaultyStore, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploader_schedule, "STOP_S", 0.2)
        store.hold.clear()
        record(tmp_path, range(3))
        running = run(slots=2)
        running.until(lambda: len(store.attempts) == 2)
        running.stop()
        assert store.order == []


class TestGarbage:
    def test_strangers_are_left_alone_with_one_warning(
        self, tmp_path: Path, store: FaultyStore, run: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        record(tmp_path, range(2), seal=False)
        media = folder(tmp_path).path
        (media / "notes.txt").write_text("hello")
        (media / "video" / "s01.m4s").write_text("no number of ours")
        (media / "video" / "s1.m4s.tmp").write_text("half a copy")
        (tmp_path / "live" / "README").write_text("hello")
        running = run()
        running.until(lambda: len(store.order) == 3)
        recover(tmp_path)
        running.until(lambda: key("manifest.json") in store.order)
        running.stop()
        assert len(store.order) == 4
        assert (media / "video" / "s01.m4s").exists()
        assert capsys.readouterr().out.count("do not belong") == 1

    def test_folders_that_are_no_sessions_hold_nothing_up(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        (tmp_path / "live/default/ev_a/main/m0/empty").mkdir(parents=True)
        record(tmp_path, range(2), "m1")
        run().until(lambda: key("manifest.json") in store.order)

    def test_an_unreadable_file_does_not_hold_up_the_others(
        self, tmp_path: Path, store: FaultyStore, run: Run
    ) -> None:
        record(tmp_path, range(3), seal=False)
        bad = folder(tmp_path).path / "video" / "s1.m4s"
        bad.unlink()
        bad.mkdir()
        running = run()
        running.until(lambda: len(store.order) == 3)
        assert bad.is_dir()


def test_a_full_disk_does_not_keep_acknowledged_files(
    tmp_path: Path, store: FaultyStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting is what makes room, so the note may come later."""
    full = threading.Event()
    full.set()
    append = Journal.append

    def refuse(self: Journal, *records: dict[str, object], durable: bool = True) -> int:
        if self.path.name == "acks.jsonl" and full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(self, *records, durable=durable)

    record(tmp_path, range(4))
    monkeypatch.setattr(Journal, "append", refuse)
    running = run()
    running.until(lambda: not [n for n in files(tmp_path) if n.endswith((".m4s", ".mp4"))])
    full.clear()
    running.until_empty()
    assert len(store.order) == len(set(store.order)) == 6


def test_the_doorbell_wakes_it_at_once(
    tmp_path: Path, store: FaultyStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader_schedule, "SCAN_S", 3600.0)
    running = run()
    spool = Spool(tmp_path, 1 << 30, lambda *_: None, lambda *_: None)
    session = open_session(spool)
    Feed(session).segments(range(2))
    session.seal(final=True)
    running.until_empty()
    assert spool.close()


def test_a_spool_that_cannot_be_read_is_told_and_comes_back(
    tmp_path: Path, store: FaultyStore, run: Run
) -> None:
    running = run()
    live, away = tmp_path / "live", tmp_path / "away"
    live.rename(away)
    running.until(lambda: running.uploader.spool_error is not None)
    away.rename(live)
    running.until(lambda: running.uploader.spool_error is None)
    record(tmp_path, range(1))
    running.until_empty()
