import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.hls import spool_journal
from hotpath.hls.spool import Spool
from hotpath.hls.spool_journal import Journal
from hotpath.hls.spool_recovery import recover
from infra.errors import ConfigurationError
from tests.support.spool import (
    KEY,
    PARTS,
    SECOND_NS,
    STARTED_NS,
    Feed,
    folder,
    holes,
    manifest,
    msns,
    open_session,
    part_bytes,
    rendition,
    segment_bytes,
)


def crash(root: Path, feed: Callable[[Spool], None], incarnation: str = "m1") -> None:
    """Leave a spool as a killed media process leaves it: everything written, nothing sealed."""
    spool = Spool(root, 1 << 30, lambda *_: None, lambda *_: None)
    feed(spool)
    assert spool.close()


def two_segments_and_three_parts(spool: Spool) -> None:
    feed = Feed(open_session(spool), ("video", "audio"))
    feed.segments(range(2))
    for part in range(3):
        feed.part("video", 2, part)
    feed.part("audio", 2, 0)


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    crash(tmp_path, two_segments_and_three_parts)
    return tmp_path


def test_an_open_segment_is_finished_with_its_whole_parts(crashed: Path) -> None:
    (found,) = recover(crashed)
    assert (found.key, found.incarnation) == (KEY, "m1")
    assert (found.segments, found.parts, found.highest_msn) == (6, 4, 2)
    session = manifest(crashed)
    assert not session.final
    assert msns(session, "video") == msns(session, "audio") == [0, 1, 2]
    last = rendition(session).segments[-1]
    assert (last.samples, last.duration) == (18, 3 * 90_000 // PARTS)
    assert session.ended_ns == found.ended_ns == STARTED_NS + 2 * SECOND_NS + 3 * SECOND_NS // 4
    media = folder(crashed).path
    assert (media / "video/s2.m4s").read_bytes() == segment_bytes("video", 2, parts=3)
    assert sorted(p.name for p in (media / "audio").iterdir()) == [
        "init-0.mp4",
        "s0.m4s",
        "s1.m4s",
        "s2.m4s",
    ]


def test_recovered_files_carry_the_ingest_time_of_their_first_unit(crashed: Path) -> None:
    recover(crashed)
    stat = (folder(crashed).path / "video/s2.m4s").stat()
    assert stat.st_mtime_ns == STARTED_NS + 2 * SECOND_NS + 5


def test_recovering_again_changes_nothing(crashed: Path) -> None:
    recover(crashed)
    before = {p: p.read_bytes() for p in crashed.rglob("*") if p.is_file()}
    assert recover(crashed) == []
    assert {p: p.read_bytes() for p in crashed.rglob("*") if p.is_file()} == before


def test_an_empty_spool_needs_nothing(tmp_path: Path) -> None:
    assert recover(tmp_path / "spool") == []


def test_sessions_come_back_oldest_first(tmp_path: Path) -> None:
    for incarnation in ("zz", "100", "m2"):
        crash(tmp_path, lambda s, i=incarnation: Feed(open_session(s, i)).segments(range(1)))  # type: ignore[misc]
    assert [s.incarnation for s in recover(tmp_path)] == ["m2", "zz", "100"]


def test_a_bad_session_does_not_keep_the_others_back(tmp_path: Path) -> None:
    for incarnation in ("m1", "m2", "m3"):
        crash(tmp_path, lambda s, i=incarnation: Feed(open_session(s, i)).segments(range(1)))  # type: ignore[misc]
    folder(tmp_path, "m2").journal.unlink()
    folder(tmp_path, "m2").journal.mkdir()
    assert [s.incarnation for s in recover(tmp_path)] == ["m1", "m3"]


def test_a_spool_in_use_is_left_alone(crashed: Path) -> None:
    spool = Spool(crashed, 1 << 30, lambda *_: None, lambda *_: None)
    with pytest.raises(ConfigurationError, match="in use by another media process"):
        recover(crashed)
    spool.close()


class TestTornFiles:
    """Whatever the moment of the crash, whole parts come back and nothing else."""

    def test_half_a_part_is_cut_off(self, crashed: Path) -> None:
        with (folder(crashed).path / "video/s2.partial").open("ab") as file:
            file.write(part_bytes("video", 2, 3)[:500])
        recover(crashed)
        content = (folder(crashed).path / "video/s2.m4s").read_bytes()
        assert content == segment_bytes("video", 2, parts=3)

    def test_a_part_whose_bytes_are_damaged_is_not_taken(self, crashed: Path) -> None:
        path = folder(crashed).path / "video/s2.partial"
        path.write_bytes(path.read_bytes()[:-10] + bytes(10))
        recover(crashed)
        content = (folder(crashed).path / "video/s2.m4s").read_bytes()
        assert content == segment_bytes("video", 2, parts=2)

    def test_without_a_whole_part_there_is_no_segment(self, crashed: Path) -> None:
        (folder(crashed).path / "video/s2.partial").write_bytes(b"half")
        recover(crashed)
        assert msns(manifest(crashed)) == [0, 1]
        assert not (folder(crashed).path / "video/s2.m4s").exists()
        assert not (folder(crashed).path / "video/s2.partial").exists()

    def test_a_journalled_segment_gets_its_name(self, crashed: Path) -> None:
        # Between the journal line and the rename.
        media = folder(crashed).path / "video"
        os.replace(media / "s1.m4s", media / "s1.partial")
        recover(crashed)
        assert msns(manifest(crashed)) == [0, 1, 2]
        assert (media / "s1.m4s").read_bytes() == segment_bytes("video", 1)

    def test_a_journalled_init_section_is_written_again(self, crashed: Path) -> None:
        init = folder(crashed).path / "video/init-0.mp4"
        init.unlink()
        recover(crashed)
        assert init.read_bytes() == b"init of video"

    def test_a_session_without_a_header_vanishes(self, tmp_path: Path) -> None:
        folder(tmp_path).path.mkdir(parents=True)
        folder(tmp_path).journal.write_bytes(b'{"kind":"sess')
        assert recover(tmp_path) == []
        assert not folder(tmp_path).path.exists()

    def test_a_damaged_header_keeps_the_media(self, crashed: Path) -> None:
        folder(crashed).journal.write_bytes(b"x" + folder(crashed).journal.read_bytes())
        assert recover(crashed) == []
        assert (folder(crashed).path / "video/s1.m4s").exists()
        assert (folder(crashed).path / "journal.damaged").exists()

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_a_cut_at_any_byte_of_any_file(self, data: st.DataObject) -> None:
        with _copy_of_a_crash() as root:
            media = folder(root).path
            names = ["video/s2.partial", "video/s2.index", "audio/s2.partial", "journal.jsonl"]
            for name in data.draw(st.sets(st.sampled_from(names), min_size=1)):
                size = (media / name).stat().st_size
                os.truncate(media / name, data.draw(st.integers(0, size), label=name))
            recover(root)
            _check_that_only_whole_parts_are_there(root)


@functools.cache
def _template() -> Path:
    template = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, template)
    crash(template, two_segments_and_three_parts)
    return template


@contextmanager
def _copy_of_a_crash() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as root:
        shutil.copytree(_template(), root, dirs_exist_ok=True)
        yield Path(root)


def _check_that_only_whole_parts_are_there(root: Path) -> None:
    media = folder(root).path
    if not media.exists():
        return
    for path in media.rglob("*.m4s"):
        whole = [segment_bytes(path.parent.name, int(path.stem[1:]), parts=n) for n in range(1, 5)]
        assert path.read_bytes() in whole
    if not folder(root).journal.exists():
        # Its header was cut: nothing can be said of the session any more.
        return
    assert list(media.rglob("*.partial")) == list(media.rglob("*.index")) == []
    for entry in manifest(root).renditions:
        for segment in entry.segments:
            path = media / entry.name / f"s{segment.msn}.m4s"
            assert path.stat().st_size == segment.bytes


class TestMissingFiles:
    def test_a_lost_segment_becomes_a_hole(self, crashed: Path) -> None:
        (folder(crashed).path / "video/s0.m4s").unlink()
        recover(crashed)
        assert msns(manifest(crashed)) == [1, 2]
        assert holes(manifest(crashed)) == [(0, 0, "disk-error")]
        assert holes(manifest(crashed), "audio") == []

    def test_a_segment_that_was_uploaded_is_not_lost(self, crashed: Path) -> None:
        path = folder(crashed).path / "video/s0.m4s"
        with Journal(folder(crashed).acks) as acks:
            acks.append({"key": str(path.relative_to(crashed)), "bytes": 4000})
        path.unlink()
        recover(crashed)
        assert msns(manifest(crashed)) == [0, 1, 2]
        assert holes(manifest(crashed)) == []

    def test_a_segment_that_was_kept_aside_is_not_lost(self, crashed: Path) -> None:
        path = folder(crashed).path / "video/s0.m4s"
        aside = crashed / "conflicts" / path.relative_to(crashed)
        aside.parent.mkdir(parents=True)
        os.replace(path, aside)
        recover(crashed)
        assert msns(manifest(crashed)) == [0, 1, 2]

    def test_numbers_that_nothing_accounts_for_become_a_hole(self, tmp_path: Path) -> None:
        def feed(spool: Spool) -> None:
            session = open_session(spool)
            feed = Feed(session)
            feed.segment(3)
            session.gap("video", 4, start=0, duration=90_000)
            feed.segment(7)

        crash(tmp_path, feed)
        recover(tmp_path)
        assert msns(manifest(tmp_path)) == [3, 7]
        assert holes(manifest(tmp_path)) == [(5, 6, "disk-error")]


class TestSealedSessions:
    @pytest.fixture
    def sealed(self, tmp_path: Path) -> Iterator[Path]:
        def feed(spool: Spool) -> None:
            session = open_session(spool)
            Feed(session, ("video", "audio")).segments(range(3))
            session.seal(final=True)

        crash(tmp_path, feed)
        return tmp_path

    def test_a_missing_manifest_is_written_again_byte_for_byte(self, sealed: Path) -> None:
        before = folder(sealed).manifest.read_bytes()
        folder(sealed).manifest.unlink()
        assert recover(sealed) == []
        assert folder(sealed).manifest.read_bytes() == before

    def test_a_manifest_that_was_uploaded_is_not_written_again(self, sealed: Path) -> None:
        with Journal(folder(sealed).acks) as acks:
            acks.append({"key": f"{folder(sealed).object_prefix}/manifest.json", "bytes": 1})
        folder(sealed).manifest.unlink()
        assert recover(sealed) == []
        assert not folder(sealed).manifest.exists()


def test_the_journal_ends_with_the_seal(crashed: Path) -> None:
    recover(crashed)
    *_, last = spool_journal.read(folder(crashed).journal)
    assert (last["kind"], last["final"]) == ("seal", False)
