from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldpath.binding import Registry, Requested, Terms
from coldpath.functions.registry import load
from coldpath.plan import ObjectVersion, plan
from infra.jobs.filing import job_id
from infra.keys import ManifestKey, ProgramKey, SegmentKey

PROGRAM = ProgramKey("acme", "ev_1")
MANIFEST = str(ManifestKey(PROGRAM, "i1"))
SEGMENT = str(SegmentKey(PROGRAM, "i1", "video", 3))


def registry() -> Registry[Any]:
    found: Registry[Any] = Registry()
    found.function("archive", on=ManifestKey, queue="bulk", max_attempts=8)(print)
    found.function("poster", on=ManifestKey, queue="fast")(print)
    found.function("thumbnail", on=SegmentKey)(print)
    return found


def test_an_object_asks_for_every_function_bound_to_its_kind() -> None:
    requests = plan([ObjectVersion(MANIFEST, "v1")], registry())
    assert [(r.function, r.queue, r.max_attempts) for r in requests] == [
        ("archive", "bulk", 8),
        ("poster", "fast", 5),
    ]
    assert {(r.project, r.event, r.feed) for r in requests} == {("acme", "ev_1", "main")}


@pytest.mark.parametrize("key", ["", "live/a/b", "other/thing.txt", "vod/acme/ev_1/main/c/x.mp4"])
def test_objects_that_nobody_wants_give_no_jobs(key: str) -> None:
    assert plan([ObjectVersion(key, "v1")], registry()) == []
    assert not registry().wants(key)


def test_a_function_may_want_only_some_objects_of_a_kind() -> None:
    found: Registry[Any] = Registry()
    found.function("sprite", on=SegmentKey, when=lambda key: key.rendition == "video")(print)
    assert found.wants(SEGMENT)
    assert not found.wants(str(SegmentKey(PROGRAM, "i1", "audio", 3)))
    assert plan([ObjectVersion(SEGMENT, "v1")], found)


def test_an_event_may_want_only_some_functions() -> None:
    theirs = str(ManifestKey(ProgramKey("acme", "ev_2"), "i1"))
    objects = [ObjectVersion(key, "v1") for key in (MANIFEST, SEGMENT, theirs)]
    requests = plan(objects, registry(), {"ev_1": {"poster"}, "ev_3": ()})
    assert [(r.event, r.function) for r in requests] == [
        ("ev_1", "poster"),
        ("ev_2", "archive"),
        ("ev_2", "poster"),
    ]
    assert plan(objects[:2], registry(), {"ev_1": ()}) == []


def test_the_same_object_twice_gives_one_job_and_another_version_another() -> None:
    first, again, changed = (ObjectVersion(SEGMENT, v) for v in ("v1", "v1", "v2"))
    ids = [r.id for r in plan([first, again, changed], registry())]
    assert len(ids) == len(set(ids)) == 2


def test_the_id_is_the_same_in_every_process_and_release() -> None:
    assert job_id("archive", "live/p/e/main/i/manifest.json", "etag") == "job_ng7v277y2c3ngw6aehko"


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(), st.text()), unique=True, max_size=20))
def test_different_triples_have_different_ids(triples: list[tuple[str, str, str]]) -> None:
    # ("ab", "c") and ("a", "bc") must not run together.
    assert len({job_id(*triple) for triple in triples}) == len(triples)


def test_objects_that_are_the_same_to_a_function_make_one_job() -> None:
    found: Registry[Any] = Registry()
    found.function("poster", on=SegmentKey, same=lambda key: f"{key.incarnation}.{key.msn // 5}")(
        print
    )
    keys = [str(SegmentKey(PROGRAM, "i1", "video", msn)) for msn in (4, 5, 7, 9, 10)]
    requests = plan([ObjectVersion(key, "v1") for key in keys], found)
    assert [r.input_key for r in requests] == [keys[0], keys[1], keys[4]]
    elsewhere = str(SegmentKey(ProgramKey("acme", "ev_2"), "i1", "video", 5))
    assert len(plan([ObjectVersion(keys[1], "v1"), ObjectVersion(elsewhere, "v1")], found)) == 2


def test_what_clients_ask_for_no_object_starts() -> None:
    found: Registry[Any] = Registry()
    found.function("clip", on=Requested)(print)
    assert plan([ObjectVersion(SEGMENT, "v1")], found) == []
    assert not found.wants(SEGMENT)


def test_a_request_carries_the_terms_of_its_function() -> None:
    found: Registry[Any] = Registry()
    found.function("poster", on=ManifestKey, queue="fast", timeout_s=60)(print)
    (request,) = plan([ObjectVersion(MANIFEST, "v1")], found)
    assert (request.queue, request.max_attempts, request.timeout_s) == ("fast", 5, 60)


def test_pauses_double_up_to_a_limit() -> None:
    terms = Terms(backoff_base_ms=500, backoff_limit_ms=1_500)
    assert [terms.pause_ms(attempt) for attempt in (1, 2, 3, 40)] == [500, 1_000, 1_500, 1_500]


@pytest.mark.parametrize("term", ["timeout_s", "memory_mb", "per_project", "backoff_base_ms"])
def test_terms_that_make_no_sense_are_refused(term: str) -> None:
    with pytest.raises(ValueError, match=f"{term} is 0"):
        Terms(**{term: 0})  # type: ignore[arg-type]


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="'archive' is registered already"):
        registry().function("archive", on=SegmentKey)(print)
    with pytest.raises(ValueError, match="at least 1"):
        registry().function("other", on=SegmentKey, max_attempts=0)


def test_speech_is_transcribed_where_that_is_wanted() -> None:
    functions = load(captions=True)
    added = [f for f in functions if load().get(f.name) is None]
    assert {f.name for f in added} == {"captions", "captions-live"}
    assert {f.terms.queue for f in added} == {"gpu"}
    assert "gpu" not in load().queues()
    ends_a_window = SegmentKey(PROGRAM, "i1", "audio", 3)
    assert [f.name for f in functions.bound_to(ends_a_window)] == ["captions-live"]


def test_livepath_archives_manifests() -> None:
    assert load().wants(MANIFEST)
    assert not load().wants(SEGMENT)
