"""The spool on a disk whose syncs hang or fail: appends go on, and nothing is told too early."""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotpath.hls import spool_journal, spool_ledger
from hotpath.hls.spool_journal import Journal
from hotpath.hls.spool_recovery import recover
from hotpath.hls.spool_segment import ClosedSegment, read_parts
from infra.keys import ProgramKey
from tests.support.spool import (
    FORMATS,
    Feed,
    Node,
    folder,
    holes,
    manifest,
    msns,
    open_session,
    rendition,
    until,
)

OTHER = ProgramKey("default", "ev_b", "main")


class Disk:
    """From `stick` on its syncs hang, until `goes_on`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.hangs, self.goes_on = threading.Event(), threading.Event()
        self._patch = patch

    def stick(self) -> None:
        self._patch.setattr(os, "fsync", self._sync)
        self._patch.setattr(os, "fdatasync", self._sync)

    def _sync(self, _: int) -> None:
        self.hangs.set()
        assert self.goes_on.wait(30)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "spool")
    yield node
    assert node.spool.close(10)


@pytest.fixture
def disk(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(monkeypatch)
    yield disk
    disk.goes_on.set()


def test_a_process_killed_in_a_sync_loses_no_part_and_no_init_section(
    node: Node, disk: Disk, tmp_path: Path
) -> None:
    session = open_session(node.spool)
    disk.stick()
    feed = Feed(session)
    feed.segments(range(3))
    session.init(FORMATS["video"], 1, b"second init")
    feed.part("video", 3, 0)
    media = folder(tmp_path / "spool").path / "video"
    until(lambda: len(read_parts(media, 3)) == 1)
    assert disk.hangs.wait(10)
    assert list(media.glob("*.m4s")) == []
    # What a killed process would leave: all that is in the page cache.
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "spool/live", killed / "live")
    disk.goes_on.set()

    (found,) = recover(killed)
    assert found.parts == 13
    assert msns(manifest(killed)) == [0, 1, 2, 3]
    assert rendition(manifest(killed)).inits == 2
    assert (folder(killed).path / "video/init-1.mp4").read_bytes() == b"second init"

    session.seal(final=True)
    node.flush()
    assert msns(manifest(tmp_path / "spool")) == [0, 1, 2, 3]
    assert rendition(manifest(tmp_path / "spool")).inits == 2
    assert node.told == []


def test_too_much_that_waits_stops_recording_until_it_is_settled(
    node: Node, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_ledger, "MAX_OWED", 3)
    session = open_session(node.spool)
    feed, other = Feed(session), Feed(open_session(node.spool, key=OTHER))
    node.flush()
    disk.stick()
    feed.segment(0)
    assert disk.hangs.wait(10)
    feed.segments(range(1, 6))
    other.part("video", 0, 0)
    until(lambda: len(read_parts(folder(node.spool.root, key=OTHER).path / "video", 0)) == 1)
    assert node.told == ["ev_a disk-error"]
    disk.goes_on.set()
    node.flush()
    feed.segment(6)
    session.seal(final=True)
    node.flush()
    assert msns(manifest(tmp_path / "spool")) == [0, 1, 2, 3, 6]
    assert holes(manifest(tmp_path / "spool")) == [(4, 5, "disk-error")]
    assert node.told == ["ev_a disk-error", "ev_a restored"]


def test_a_flush_waits_for_the_sync_and_closing_does_not_wait_for_ever(
    disk: Disk, tmp_path: Path
) -> None:
    node = Node(tmp_path / "closing")
    feed = Feed(open_session(node.spool))
    disk.stick()
    feed.segment(0)
    assert not node.spool.flush(0.1)
    assert not node.spool.close(0.1)
    disk.goes_on.set()
    until((folder(tmp_path / "closing").path / "video/s0.m4s").exists)


@pytest.mark.parametrize("step", ["sync", "line"])
def test_a_segment_that_cannot_be_synced_becomes_a_hole(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    session = open_session(node.spool)
    feed = Feed(session)
    feed.segment(0)
    node.flush()
    with monkeypatch.context() as patch:
        if step == "sync":
            patch.setattr(ClosedSegment, "sync", _refuse)
        else:
            patch.setattr(os, "fdatasync", _refusing_once())
        feed.segment(1)
        node.flush()
    assert node.told == ["ev_a disk-error"]
    feed.segment(2)
    session.seal(final=True)
    node.flush()
    assert msns(manifest(tmp_path / "spool")) == [0, 2]
    assert holes(manifest(tmp_path / "spool")) == [(1, 1, "disk-error")]
    files = sorted(p.name for p in (folder(tmp_path / "spool").path / "video").iterdir())
    assert files == ["init-0.mp4", "s0.m4s", "s2.m4s"]
    assert node.told == ["ev_a disk-error", "ev_a restored"]


def test_the_seal_comes_after_the_hole_of_the_last_segment(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(node.spool)
    feed = Feed(session)
    feed.segment(0)
    node.flush()
    monkeypatch.setattr(ClosedSegment, "sync", _refuse)
    feed.segment(1)
    session.seal(final=True)
    node.flush()
    assert msns(manifest(tmp_path / "spool")) == [0]
    assert holes(manifest(tmp_path / "spool")) == [(1, 1, "disk-error")]
    *_, last = spool_journal.read(folder(tmp_path / "spool").journal)
    assert last["kind"] == "seal"


class TestJournalOfTwoThreads:
    def test_a_record_comes_in_while_another_is_synced(self, disk: Disk, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        with Journal(path) as lines:
            disk.stick()
            durable = threading.Thread(target=lines.append, args=({"n": 0},))
            durable.start()
            assert disk.hangs.wait(10)
            lines.append({"n": 1}, durable=False)
            assert list(spool_journal.read(path)) == [{"n": 0}, {"n": 1}]
            disk.goes_on.set()
            durable.join()

    def test_a_failed_sync_takes_nothing_with_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "journal"
        with Journal(path) as lines:

            def interrupt(_: int) -> None:
                lines.append({"n": 1}, durable=False)
                _refuse()

            with monkeypatch.context() as patch:
                patch.setattr(os, "fdatasync", interrupt)
                with pytest.raises(OSError, match="Input/output"):
                    lines.append({"n": 0})
            lines.append({"n": 2})
        assert list(spool_journal.read(path)) == [{"n": 0}, {"n": 1}, {"n": 2}]

    def test_a_record_that_was_not_synced_is_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "journal"
        with Journal(path) as lines:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fdatasync", _refuse)
                with pytest.raises(OSError, match="Input/output"):
                    lines.append({"n": 0})
            lines.append({"n": 1})
        assert list(spool_journal.read(path)) == [{"n": 1}]


def _refuse(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def _refusing_once() -> Callable[[int], None]:
    sync, refused = os.fdatasync, threading.Event()

    def refuse(fd: int) -> None:
        if not refused.is_set():
            refused.set()
            _refuse()
        sync(fd)

    return refuse
