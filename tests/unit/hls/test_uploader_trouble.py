"""The uploader after a crash, beside strangers' files, and on a disk that refuses."""

import errno
import threading
from pathlib import Path

import pytest

from hotpath.hls import uploader_schedule
from hotpath.hls.spool_journal import Journal
from hotpath.hls.spool_recovery import recover
from tests.support.spool import folder
from tests.support.uploading import FaultyStore, Run, files, key, record


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
