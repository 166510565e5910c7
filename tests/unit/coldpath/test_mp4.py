"""The MP4 functions over a store in memory, with real media."""

import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from coldpath.context import Ends, JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.functions.registry import load
from coldpath.ledger import Ledger
from coldpath.media.verify import verify
from coldpath.records import JobResult
from infra.jobs.filing import requested
from infra.keys import InitKey, ProgramKey, SegmentKey
from tests.support.functions import CountingStore, attempt
from tests.support.session import Session, encode, session

KEY = ProgramKey("p", "e")
RUNG = "360p"


def recorded(incarnation: str = "i1", **changes: Any) -> Session:
    return session(KEY, incarnation, *encode(6.0), **changes)


def with_rung(made: Session, msns: Collection[int]) -> Session:
    """The session with a rendition that was encoded for these segments; it is as good as its
    source."""
    manifest = made.manifest
    source = next(r for r in manifest.renditions if r.name == "video")
    kept = tuple(s for s in source.segments if s.msn in msns)
    rung = source.model_copy(update={"name": RUNG, "segments": kept})
    made.manifest = manifest.model_copy(update={"renditions": (*manifest.renditions, rung)})

    def copy(key: type[InitKey] | type[SegmentKey], number: int) -> None:
        there = made.objects[str(key(KEY, manifest.incarnation, "video", number))]
        made.objects[str(key(KEY, manifest.incarnation, RUNG, number))] = there

    copy(InitKey, 0)
    for segment in kept:
        copy(SegmentKey, segment.msn)
    return made


def ask(ledger: Ledger, store: CountingStore, folder: Path, **params: Any) -> JobResult:
    bound = load().get("mp4")
    assert bound is not None
    request = requested("mp4", KEY, params, queue="bulk", max_attempts=9, timeout_s=60)
    ledger.file([request])
    lease = ledger.lease(request.id, "w/1") or ledger.lease(request.id, "w/2", dead_owner="w/1")
    assert lease is not None
    return bound.run(JobContext(lease, ledger, store, folder, Ends(threading.Event())))


def test_a_final_manifest_gives_the_file_of_the_source(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    whole = recorded()
    whole.upload(store)
    result = attempt("archive-mp4", ledger, store, whole.manifest_key, tmp_path)
    assert result.trigger is None
    (mp4,) = result.assets
    assert (mp4.kind, mp4.content_type) == ("mp4", "video/mp4")
    assert mp4.key.endswith("/archive.mp4")
    assert mp4.detail == {
        "rendition": "video",
        "piece": 0,
        "units": {"video": 150, "audio": whole.samples("audio")},
    }
    info = store.head(mp4.key)
    assert info is not None
    assert info.bytes == mp4.bytes > 50_000
    assert 5_900 <= (mp4.duration_ms or 0) <= 6_300
    assert result.outputs["keys"] == [mp4.key]


def test_a_rerun_and_a_request_find_the_file_and_remux_nothing(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    whole = recorded()
    whole.upload(store)
    first = attempt("archive-mp4", ledger, store, whole.manifest_key, tmp_path)
    store.gets.clear()
    assert attempt("archive-mp4", ledger, store, whole.manifest_key, tmp_path) == first
    assert ask(ledger, store, tmp_path) == first
    assert ask(ledger, store, tmp_path, rendition="video") == first
    assert store.segments_read() == []


def test_a_manifest_that_is_not_final_gives_no_file(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    part = recorded(final=False)
    part.upload(store)
    assert attempt("archive-mp4", ledger, store, part.manifest_key, tmp_path).assets == ()


def test_incarnations_are_one_file(ledger: Ledger, store: CountingStore, tmp_path: Path) -> None:
    recorded(final=False).upload(store)
    second = recorded("i2", start_s=60, first_msn=64, discontinuity_seq=1, previous=["i1"])
    second.upload(store)
    (mp4,) = attempt("archive-mp4", ledger, store, second.manifest_key, tmp_path).assets
    assert mp4.detail["units"]["video"] == 300
    assert list(ask(ledger, store, tmp_path).assets) == [mp4]


def test_a_rendition_is_a_file_of_its_own_with_the_sound_of_its_time(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    with_rung(recorded(), {0, 2}).upload(store)
    (mp4,) = ask(ledger, store, tmp_path, rendition=RUNG).assets
    assert mp4.key.endswith(f"/{RUNG}.mp4")
    assert mp4.detail["rendition"] == RUNG
    assert mp4.detail["units"]["video"] == 100
    # The second of three segments is taken out, picture and sound.
    assert 3_900 <= (mp4.duration_ms or 0) <= 4_300
    path = tmp_path / "found.mp4"
    path.write_bytes(store.get(mp4.key))
    verify(path, mp4.detail["units"])
    assert not [key for key in store.segments_read() if "/video/" in key]


def test_a_sound_is_a_file_without_a_picture(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    whole = recorded()
    whole.upload(store)
    (mp4,) = ask(ledger, store, tmp_path, rendition="audio").assets
    assert mp4.key.endswith("/audio.mp4")
    assert mp4.detail["units"] == {"audio": whole.samples("audio")}


def test_while_a_programme_is_on_the_air_a_request_waits(
    ledger: Ledger, store: CountingStore, tmp_path: Path
) -> None:
    with pytest.raises(RetryLater, match="p/e/main is not over yet"):
        ask(ledger, store, tmp_path)
    recorded(final=False).upload(store)
    with pytest.raises(RetryLater, match="is not over yet"):
        ask(ledger, store, tmp_path)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"rendition": "999p"}, "there is no rendition '999p', but video, audio"),
        ({"rendition": "x" * 65}, "at most 64 characters"),
        ({"quality": "best"}, "quality"),
    ],
)
def test_what_cannot_be_made_is_said(
    ledger: Ledger, store: CountingStore, tmp_path: Path, params: dict[str, str], why: str
) -> None:
    recorded().upload(store)
    with pytest.raises(PermanentFailure, match=why):
        ask(ledger, store, tmp_path, **params)
