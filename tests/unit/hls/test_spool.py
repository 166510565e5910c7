"""The spool: what a session writes, and what its manifest says of it."""

import socket
from pathlib import Path

import pytest

from hotpath.hls.recorder import Recorder
from hotpath.hls.spool import IncarnationReused, SpoolSession
from infra.errors import ConfigurationError
from tests.support.spool import (
    FORMATS,
    SECOND_NS,
    STARTED_NS,
    Feed,
    Node,
    folder,
    holes,
    manifest,
    msns,
    open_session,
    rendition,
    segment_bytes,
)


def test_a_session_is_a_recorder(node: Node) -> None:
    recorder: Recorder = open_session(node.spool)
    assert isinstance(recorder, SpoolSession)


def test_segments_are_the_concatenation_of_their_parts(node: Node, tmp_path: Path) -> None:
    Feed(open_session(node.spool), ("video", "audio")).segments(range(3))
    node.flush()
    media = folder(tmp_path).path
    assert (media / "video/init-0.mp4").read_bytes() == b"init of video"
    for name in ("video", "audio"):
        for msn in range(3):
            assert (media / name / f"s{msn}.m4s").read_bytes() == segment_bytes(name, msn)


def test_parts_are_on_disk_before_their_segment_ends(node: Node, tmp_path: Path) -> None:
    feed = Feed(open_session(node.spool))
    feed.part("video", 0, 0)
    feed.part("video", 0, 1)
    node.flush()
    media = folder(tmp_path).path / "video"
    assert (media / "s0.partial").read_bytes() == segment_bytes("video", 0, parts=2)
    assert not (media / "s0.m4s").exists()


def test_the_manifest_lists_everything_after_the_seal(node: Node, tmp_path: Path) -> None:
    session = open_session(node.spool, previous=("k1", "k2"))
    Feed(session, ("video", "audio")).segments(range(4, 7))
    node.flush()
    assert not folder(tmp_path).manifest.exists()
    session.seal(final=True)
    node.flush()
    found = manifest(tmp_path)
    assert (found.project, found.event, found.feed) == ("default", "ev_a", "main")
    assert (found.incarnation, found.previous, found.final) == ("m1", ("k1", "k2"), True)
    assert (found.started_ns, found.ended_ns) == (STARTED_NS, STARTED_NS + 7 * SECOND_NS)
    video, audio = found.renditions
    assert (video.name, video.kind, video.codecs, video.timescale, video.inits, video.width) == (
        "video",
        "video",
        ("avc1.42c01f",),
        90_000,
        1,
        1280,
    )
    assert (audio.kind, audio.sample_rate, audio.channels) == ("audio", 48_000, 2)
    assert msns(found, "video") == msns(found, "audio") == [4, 5, 6]
    first = video.segments[0]
    assert (first.start, first.duration, first.bytes) == (360_000, 90_000, 4000)
    assert (first.samples, first.independent, first.init) == (24, True, 0)
    assert first.pdt_ns == STARTED_NS + 4 * SECOND_NS


def test_a_seal_finishes_what_is_open(node: Node, tmp_path: Path) -> None:
    session = open_session(node.spool)
    feed = Feed(session)
    feed.part("video", 0, 0)
    session.seal(final=False)
    node.flush()
    assert msns(manifest(tmp_path)) == [0]
    assert (folder(tmp_path).path / "video/s0.m4s").read_bytes() == segment_bytes("video", 0, 1)


def test_nothing_follows_a_seal(node: Node, tmp_path: Path) -> None:
    session = open_session(node.spool)
    feed = Feed(session)
    feed.segment(0)
    session.seal(final=True)
    feed.segment(1)
    session.seal(final=False)
    node.flush()
    assert msns(manifest(tmp_path)) == [0]
    assert manifest(tmp_path).final
    assert not (folder(tmp_path).path / "video/s1.m4s").exists()


def test_a_second_init_section_is_counted(node: Node, tmp_path: Path) -> None:
    session = open_session(node.spool)
    feed = Feed(session)
    feed.segment(0)
    session.init(FORMATS["video"], 1, b"second init")
    session.seal(final=True)
    node.flush()
    assert rendition(manifest(tmp_path)).inits == 2
    assert len(rendition(manifest(tmp_path)).codecs) == 2
    assert (folder(tmp_path).path / "video/init-1.mp4").read_bytes() == b"second init"


def test_a_gap_of_the_source_is_no_hole(node: Node, tmp_path: Path) -> None:
    session = open_session(node.spool)
    feed = Feed(session, ("video",))
    feed.segment(0)
    session.gap("video", 1, start=90_000, duration=90_000)
    feed.segment(2)
    session.seal(final=True)
    node.flush()
    assert msns(manifest(tmp_path)) == [0, 2]
    assert holes(manifest(tmp_path)) == []
    assert node.told == []


def test_what_the_packager_missed_is_a_hole_and_its_parts_stay(node: Node, tmp_path: Path) -> None:
    session = open_session(node.spool)
    feed = Feed(session)
    feed.segment(0)
    feed.part("video", 1, 0)
    session.segment("video", 1, duration=22_500)
    session.hole("video", first_msn=1, last_msn=3, reason="reader-behind")
    feed.segment(4)
    session.seal(final=True)
    node.flush()
    assert msns(manifest(tmp_path)) == [0, 1, 4]
    assert holes(manifest(tmp_path)) == [(1, 3, "reader-behind")]
    assert node.told == ["ev_a reader-behind", "ev_a restored"]


def test_a_segment_of_no_length_lasts_a_tick(node: Node, tmp_path: Path) -> None:
    session = open_session(node.spool)
    session.init(FORMATS["video"], 0, b"init")
    session.part(
        "video", 0, 0, b"part", init=0, start=5, duration=0, samples=1, independent=True,
        discontinuity_seq=0, pdt_ns=STARTED_NS, ingest_ns=STARTED_NS,
    )  # fmt: skip
    session.segment("video", 0, duration=0)
    session.segment("video", 1, duration=0)
    session.seal(final=True)
    node.flush()
    assert [s.duration for s in rendition(manifest(tmp_path)).segments] == [1]


def test_an_incarnation_is_used_once(node: Node) -> None:
    open_session(node.spool)
    with pytest.raises(IncarnationReused, match="m1"):
        open_session(node.spool)


def test_a_spool_has_one_owner(node: Node, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="own data folder"):
        Node(tmp_path)
    assert node.spool.flush(5)


def test_the_session_folder_is_there_when_open_returns(node: Node, tmp_path: Path) -> None:
    open_session(node.spool)
    assert folder(tmp_path).journal.read_bytes().startswith(b'{"kind":"session"')


def test_the_doorbell_rings_for_each_segment(node: Node, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(tmp_path / "doorbell.sock"))
        bell.settimeout(10)
        Feed(open_session(node.spool)).segment(0)
        assert bell.recv(10) == b"\n"  # the init section
        assert bell.recv(10) == b"\n"  # the segment
