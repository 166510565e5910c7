from pathlib import Path

import pytest

from hotpath.hls.spool_journal import Journal, Record
from hotpath.hls.spool_manifest import describe, merged_holes, segment_record, write_manifest
from infra.manifest import Hole, SessionManifest
from tests.support.spool import FORMATS, folder, holes, manifest, msns, rendition

HEADER: Record = {
    "kind": "session",
    "version": 1,
    "project": "default",
    "event": "ev_a",
    "feed": "main",
    "incarnation": "m1",
    "previous": ["k1"],
    "started_ns": 10,
    "target_duration_s": 2,
    "traceparent": "00-ab-cd-01",
}
SEAL: Record = {"kind": "seal", "final": True, "ended_ns": 20}


def init(number: int = 0, name: str = "video") -> Record:
    format_ = describe(FORMATS[name])
    return {"kind": "init", "rendition": name, "number": number, "format": format_, "data": ""}


def segment(msn: int, name: str = "video") -> Record:
    entry = {
        "msn": msn,
        "init": 0,
        "start": -5,
        "duration": 1,
        "bytes": 1,
        "samples": 1,
        "discontinuity_seq": 0,
        "independent": True,
        "pdt_ns": 1,
    }
    return segment_record(name, entry)


def hole(first: int, last: int, reason: str = "spool-full") -> Record:
    named = {"first_msn": first, "last_msn": last, "reason": reason}
    return {"kind": "hole", "rendition": "video", **named}


def compose(root: Path, *records: Record) -> SessionManifest:
    folder(root).path.mkdir(parents=True)
    with Journal(folder(root).journal) as journal:
        journal.append(*records)
    assert write_manifest(folder(root)) == folder(root).manifest.stat().st_size
    return manifest(root)


def test_a_session_without_media_has_an_empty_manifest(tmp_path: Path) -> None:
    found = compose(tmp_path, HEADER, SEAL)
    assert found.renditions == ()
    assert (found.previous, found.traceparent, found.final) == (("k1",), "00-ab-cd-01", True)
    assert (found.started_ns, found.ended_ns, found.target_duration_s) == (10, 20, 2)


def test_renditions_are_told_apart(tmp_path: Path) -> None:
    records = [init(), init(0, "audio"), segment(0), segment(0, "audio"), segment(1)]
    found = compose(tmp_path, HEADER, *records, SEAL)
    assert (msns(found, "video"), msns(found, "audio")) == ([0, 1], [0])


def test_a_sound_says_its_language(tmp_path: Path) -> None:
    said = {"language": "de", "describes_video": True}
    record = init(0, "audio")
    found = compose(tmp_path, HEADER, {**record, "format": record["format"] | said}, SEAL)
    assert rendition(found, "audio").model_dump() | said == rendition(found, "audio").model_dump()


def test_a_journal_of_before_there_were_languages_is_read(tmp_path: Path) -> None:
    record = init(0, "audio")
    for name in ("language", "describes_video"):
        del record["format"][name]
    assert rendition(compose(tmp_path, HEADER, record, SEAL), "audio").language == ""


def test_what_was_journalled_twice_counts_once(tmp_path: Path) -> None:
    found = compose(
        tmp_path,
        HEADER,
        HEADER,
        init(),
        init(),
        segment(0),
        segment(0),
        hole(1, 1),
        hole(1, 3),
        SEAL,
    )
    assert msns(found) == [0]
    assert holes(found) == [(1, 3, "spool-full")]
    assert rendition(found).inits == 1


def test_a_lost_segment_is_a_hole(tmp_path: Path) -> None:
    lost = {"kind": "lost", "rendition": "video", "msn": 1}
    found = compose(tmp_path, HEADER, init(), segment(0), segment(1), segment(2), lost, SEAL)
    assert msns(found) == [0, 2]
    assert holes(found) == [(1, 1, "disk-error")]


def test_an_unsealed_journal_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sealed journal"):
        compose(tmp_path, HEADER, init())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([(5, 6), (1, 2)], [(1, 2), (5, 6)]),
        ([(1, 2), (3, 4)], [(1, 4)]),
        ([(1, 9), (2, 3)], [(1, 9)]),
        ([(1, 5), (4, 8)], [(1, 8)]),
    ],
)
def test_touching_holes_are_one(
    given: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    found = merged_holes(Hole(first_msn=f, last_msn=e, reason="spool-full") for f, e in given)
    assert [(h.first_msn, h.last_msn) for h in found] == expected


def test_holes_of_different_reasons_stay_apart() -> None:
    full = Hole(first_msn=1, last_msn=2, reason="spool-full")
    broken = Hole(first_msn=3, last_msn=4, reason="disk-error")
    assert merged_holes([broken, full]) == [full, broken]
