from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls.spool_layout import SessionFolder
from hotpath.hls.uploader_scan import (
    SessionListing,
    SpoolFile,
    Upload,
    backlog,
    next_uploads,
    plan,
    removable,
)
from infra.keys import ProgramKey

ROOT = Path("/spool")
KEY = ProgramKey("default", "ev_a")


def session(
    incarnation: str = "m1",
    files: tuple[tuple[str, int], ...] = (),
    *,
    manifest: int | None = None,
    is_open: bool = True,
    done: bool = False,
    key: ProgramKey = KEY,
) -> SessionListing:
    folder = SessionFolder(ROOT, key, incarnation)

    def file(name: str, modified_ns: int) -> SpoolFile:
        return SpoolFile(f"{folder.object_prefix}/{name}", 100, modified_ns)

    return SessionListing(
        folder,
        tuple(file(name, modified) for name, modified in files),
        file("manifest.json", manifest) if manifest is not None else None,
        open=is_open,
        done=done,
    )


def names(uploads: list[Upload]) -> list[str]:
    return [u.file.key.removeprefix(f"live/{u.folder.key}/") for u in uploads]


def test_segments_go_oldest_first_over_all_sessions() -> None:
    found = [
        session("m1", (("video/s1.m4s", 30), ("video/s0.m4s", 10))),
        session("m1", (("audio/s7.m4s", 20),), key=ProgramKey("default", "ev_b")),
    ]
    assert names(plan(found)) == ["m1/video/s0.m4s", "m1/audio/s7.m4s", "m1/video/s1.m4s"]


def test_init_sections_go_before_segments() -> None:
    found = [session("m1", (("video/s0.m4s", 10), ("video/init-0.mp4", 99)))]
    assert names(plan(found)) == ["m1/video/init-0.mp4", "m1/video/s0.m4s"]


def test_a_manifest_waits_for_the_last_segment() -> None:
    assert names(plan([session("m1", (("video/s0.m4s", 10),), manifest=20)])) == ["m1/video/s0.m4s"]
    assert names(plan([session("m1", manifest=20)])) == ["m1/manifest.json"]


def test_a_manifest_waits_for_those_of_earlier_incarnations() -> None:
    found = [
        session("m2", manifest=20),
        session("m1", (("video/s0.m4s", 30),), manifest=40),
    ]
    assert names(plan(found)) == ["m1/video/s0.m4s"]
    assert names(plan([session("m2", manifest=20), session("m1", manifest=40)])) == [
        "m1/manifest.json"
    ]
    acknowledged = session("m1", is_open=False, done=True)
    assert names(plan([session("m2", manifest=20), acknowledged])) == ["m2/manifest.json"]


def test_a_manifest_waits_for_an_earlier_session_that_is_not_sealed() -> None:
    assert plan([session("m2", manifest=20), session("m1")]) == []


def test_incarnations_are_numbers_not_words() -> None:
    assert names(plan([session("100", manifest=1), session("zz", manifest=2)])) == [
        "zz/manifest.json"
    ]


def test_other_programmes_do_not_wait() -> None:
    other = session("m2", manifest=20, key=ProgramKey("default", "ev_a", "guest"))
    assert names(plan([session("m1"), other])) == ["m2/manifest.json"]


def test_content_types_follow_the_name() -> None:
    found = [session("m1", (("video/init-0.mp4", 1), ("video/s0.m4s", 2)))]
    found += [session("m1", manifest=3, key=ProgramKey("default", "ev_b"))]
    assert [u.content_type for u in plan(found)] == [
        "video/mp4",
        "video/iso.segment",
        "application/json",
    ]


_FILES = st.lists(
    st.tuples(
        st.sampled_from(["video", "audio"]),
        st.sampled_from(["s{}.m4s", "init-{}.mp4"]),
        st.integers(0, 9),
        st.integers(0, 50),
    ),
    max_size=6,
    unique_by=lambda file: file[:3],
)


@given(st.dictionaries(st.sampled_from(["m1", "m2", "m3", "10a"]), _FILES), st.data())
def test_a_plan_keeps_its_promises(
    sessions: dict[str, list[tuple[str, str, int, int]]], data: st.DataObject
) -> None:
    found = [
        session(
            incarnation,
            tuple((f"{r}/{form.format(n)}", at) for r, form, n, at in files),
            manifest=data.draw(st.none() | st.integers(0, 50)),
        )
        for incarnation, files in sessions.items()
    ]
    uploads = plan(found)
    keys = [u.file.key for u in uploads]
    assert len(keys) == len(set(keys))
    media = {f.key for s in found for f in s.files}
    assert media <= set(keys)
    manifests = [u for u in uploads if u.file.key not in media]
    assert len(manifests) <= 1, "each waits for the one before"
    for upload in manifests:
        assert not any(upload.folder == s.folder and s.files for s in found)
    segments = [u.file.modified_ns for u in uploads if u.is_segment]
    assert segments == sorted(segments)


def test_slots_busy_files_and_waiting_files_are_respected() -> None:
    uploads = plan([session("m1", tuple((f"video/s{n}.m4s", n) for n in range(6)))])
    keys = [u.file.key for u in uploads]
    chosen = next_uploads(uploads, {keys[0]}, {keys[1]: 10.0, keys[2]: 5.0}, now=5.0, slots=2)
    assert [u.file.key for u in chosen] == keys[2:4]
    assert next_uploads(uploads, set(), {}, now=0.0, slots=0) == []


def test_the_backlog_counts_what_waits() -> None:
    found = backlog([session("m1", (("video/s0.m4s", 30),), manifest=20), session("m2")])
    assert (found.files, found.bytes, found.oldest_ns) == (2, 200, 20)
    assert backlog([]).oldest_ns is None


def test_only_what_is_wholly_acknowledged_is_removable() -> None:
    done = session("m1", is_open=False, done=True)
    late = session("m2", (("video/s0.m4s", 1),), is_open=False, done=True)
    assert removable([done, late, session("m3")]) == [done.folder]
