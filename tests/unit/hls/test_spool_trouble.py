"""A spool that is full, and disks that refuse or hang: what is lost is a hole, and is told."""

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotpath.hls import spool_capacity, spool_settler
from hotpath.hls.spool_segment import OpenSegment
from infra.keys import ProgramKey
from tests.support.spool import (
    Feed,
    Node,
    folder,
    holes,
    manifest,
    msns,
    open_session,
    segment_bytes,
    until,
)

OTHER = ProgramKey("default", "ev_b", "main")


class TestFullSpool:
    """Recording stops, nothing is deleted, the hole is listed; it goes on at low water."""

    @pytest.fixture
    def node(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
        monkeypatch.setattr(spool_capacity, "RETRY_S", 0.0)
        node = Node(tmp_path, max_bytes=22_500)
        yield node
        assert node.spool.close(10)

    def test_recording_stops_and_what_was_recorded_stays(self, node: Node, tmp_path: Path) -> None:
        session = open_session(node.spool)
        _play(node, Feed(session), range(10))
        session.seal(final=True)
        node.flush()
        kept = msns(manifest(tmp_path))
        assert 2 <= len(kept) < 6
        assert kept == list(range(len(kept)))
        assert holes(manifest(tmp_path)) == [(len(kept), 9, "spool-full")]
        for msn in kept:
            path = folder(tmp_path).path / f"video/s{msn}.m4s"
            assert path.read_bytes() == segment_bytes("video", msn)
        assert list(folder(tmp_path).path.rglob("*.partial")) == []
        assert node.told == ["ev_a spool-full"]

    def test_recording_goes_on_with_a_whole_segment(self, node: Node, tmp_path: Path) -> None:
        session = open_session(node.spool)
        feed = Feed(session)
        _play(node, feed, range(6))
        feed.part("video", 6, 0)
        node.flush()
        for path in (folder(tmp_path).path / "video").glob("*.m4s"):
            path.unlink()
        feed.part("video", 6, 1)
        session.segment("video", 6, duration=90_000)
        feed.segment(7)
        session.seal(final=True)
        node.flush()
        found = manifest(tmp_path)
        (hole,) = holes(found)
        assert hole[1:] == (6, "spool-full")
        assert msns(found) == [*range(hole[0]), 7]
        assert node.told == ["ev_a spool-full", "ev_a restored"]

    def test_a_little_room_is_not_enough_to_go_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spool_capacity, "RETRY_S", 0.0)
        node = Node(tmp_path, max_bytes=60_000)
        session = open_session(node.spool)
        feed = Feed(session)
        _play(node, feed, range(20))
        media = folder(tmp_path).path / "video"
        for msn in range(4):
            (media / f"s{msn}.m4s").unlink()
        # The next segment (4,000 bytes and its index) would fit below 60,000.
        ballast = 54_100 - spool_capacity.measure(tmp_path / "live")
        (media / "ballast").write_bytes(bytes(ballast))
        feed.segment(20)
        node.flush()
        assert not (media / "s20.m4s").exists()
        (media / "ballast").write_bytes(b"")
        feed.segment(21)
        node.flush()
        assert (media / "s21.m4s").exists()
        assert node.told == ["ev_a spool-full", "ev_a restored"]
        assert node.spool.close(10)


def _play(node: Node, feed: Feed, msns: range) -> None:
    """Each segment is settled before the next: part indexes that wait to be deleted take room."""
    for msn in msns:
        feed.segment(msn)
        node.flush()


class TestRefusingDisk:
    def test_one_bad_folder_costs_only_its_own_event(self, node: Node, tmp_path: Path) -> None:
        broken, healthy = open_session(node.spool), open_session(node.spool, key=OTHER)
        broken_feed, healthy_feed = Feed(broken), Feed(healthy)
        node.flush()
        video = folder(tmp_path).path / "video"
        for path in video.iterdir():
            path.unlink()
        video.rmdir()
        video.write_text("in the way")
        for msn in range(3):
            broken_feed.segment(msn)
            healthy_feed.segment(msn)
        broken.seal(final=True)
        healthy.seal(final=True)
        node.flush()
        assert holes(manifest(tmp_path)) == [(0, 2, "disk-error")]
        assert node.told == ["ev_a disk-error"]
        kept = sorted(p.name for p in (folder(tmp_path, key=OTHER).path / "video").iterdir())
        assert kept == ["init-0.mp4", "s0.m4s", "s1.m4s", "s2.m4s"]

    def test_an_error_in_the_middle_of_a_segment_costs_that_segment(
        self, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = open_session(node.spool)
        feed = Feed(session)
        feed.segment(0)
        feed.part("video", 1, 0)
        node.flush()
        with monkeypatch.context() as patch:
            patch.setattr(OpenSegment, "append", _refuse)
            feed.part("video", 1, 1)
            node.flush()
        feed.part("video", 1, 2)
        session.segment("video", 1, duration=90_000)
        feed.segment(2)
        session.seal(final=True)
        node.flush()
        assert msns(manifest(tmp_path)) == [0, 2]
        assert holes(manifest(tmp_path)) == [(1, 1, "disk-error")]
        assert node.told == ["ev_a disk-error", "ev_a restored"]

    def test_what_must_not_be_lost_is_written_when_the_disk_is_back(
        self, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spool_settler, "RETRY_S", 0.01)
        with monkeypatch.context() as patch:
            patch.setattr("hotpath.hls.spool_ledger.make_durable", _refuse)
            session = open_session(node.spool)
            feed = Feed(session)
            feed.segments(range(2))
            node.flush()
            assert not folder(tmp_path).path.exists()
        until(folder(tmp_path).journal.exists)
        node.flush()
        feed.segment(2)
        session.seal(final=True)
        node.flush()
        assert msns(manifest(tmp_path)) == [2]
        assert holes(manifest(tmp_path)) == [(0, 1, "disk-error")]
        assert (folder(tmp_path).path / "video/init-0.mp4").read_bytes() == b"init of video"

    def test_a_seal_that_is_refused_is_repeated(
        self, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = open_session(node.spool)
        Feed(session).segment(0)
        node.flush()
        with monkeypatch.context() as patch:
            patch.setattr("hotpath.hls.spool_ledger.write_manifest", _refuse)
            session.seal(final=True)
            node.flush()
        until(folder(tmp_path).manifest.exists)
        assert msns(manifest(tmp_path)) == [0]


def _refuse(*_: object) -> int:
    raise OSError(errno.EIO, "Input/output error")


class TestHangingDisk:
    def test_calls_return_and_what_does_not_fit_is_a_hole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hangs, goes_on = threading.Event(), threading.Event()
        append = OpenSegment.append

        def hang(self: OpenSegment, *arguments: object) -> int:
            hangs.set()
            assert goes_on.wait(30)
            return append(self, *arguments)  # type: ignore[arg-type]

        node = Node(tmp_path, queue_bytes=10_500)
        session = open_session(node.spool)
        feed = Feed(session)
        node.flush()
        monkeypatch.setattr(OpenSegment, "append", hang)
        feed.segment(0)
        assert hangs.wait(10)
        # The first part is out of the queue; ten more fit, the eleventh does not.
        feed.segments(range(1, 6))
        assert node.told == ["ev_a disk-error"]
        goes_on.set()
        node.flush()
        feed.segment(6)
        session.seal(final=True)
        node.flush()
        assert msns(manifest(tmp_path)) == [0, 1, 6]
        assert holes(manifest(tmp_path)) == [(2, 5, "disk-error")]
        assert node.told == ["ev_a disk-error", "ev_a restored"]
        assert node.spool.close(10)
