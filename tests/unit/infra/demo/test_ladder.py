"""Renditions beside their source, and pictures over a switch."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from infra.demo.barcode import Stamp
from infra.demo.ladder import (
    SOURCE,
    Continuity,
    LadderFindings,
    Picture,
    RenditionSeen,
    Switching,
    align,
    name_of,
)
from infra.demo.m3u8 import Part, Segment, Variant

MS = 1_000_000
FPS = 25
CLEAN = Switching((SOURCE, "360p", SOURCE), 150, 150, 0.0, 0)


def segment(
    msn: int, *, parts: Sequence[int] = (200, 200, 200), date_ms: int | None = None
) -> Segment:
    date = 600 * msn if date_ms is None else date_ms
    listed = tuple(Part(f"{msn}.{n}", ms * MS) for n, ms in enumerate(parts))
    return Segment(msn, f"{msn}", sum(parts) * MS, "init", listed, date_ms=date)


def seen(name: str, segments: Iterable[Segment]) -> RenditionSeen:
    return RenditionSeen(name, Variant(f"{name}.m3u8", None), {s.msn: s for s in segments})


SOURCE_SEEN = seen(SOURCE, map(segment, range(4)))


def test_a_rendition_with_the_sources_boundaries_is_aligned() -> None:
    # It may begin later, and be a segment behind at the end.
    for numbers in (range(4), range(1, 4), range(3)):
        found = align(seen("360p", map(segment, numbers)), SOURCE_SEEN)
        assert found.aligned
        assert (found.compared, found.missing, found.max_offset_ms) == (len(numbers), (), 0)


@pytest.mark.parametrize(
    ("other", "offset_ms"),
    [
        (segment(1, date_ms=633), 33),
        (segment(1, parts=(200, 200, 167)), 33),
        (segment(1, parts=(220, 180, 200)), 20),
        (segment(1, parts=(400, 200)), 200),
        (segment(1, parts=(200, 200, 150, 50)), 50),
    ],
)
def test_another_boundary_is_found_and_measured(other: Segment, offset_ms: float) -> None:
    found = align(seen("360p", [segment(0), other, segment(2)]), SOURCE_SEEN)
    assert not found.aligned
    assert found.max_offset_ms == pytest.approx(offset_ms)


def test_parts_that_one_lists_no_longer_are_not_compared() -> None:
    assert align(seen("360p", [replace(segment(1), parts=())]), SOURCE_SEEN).aligned


def test_of_a_segment_with_lost_parts_only_the_ends_are_compared() -> None:
    whole = segment(1)
    lost = (whole.parts[0], Part("x", 215 * MS, gap=True), Part("y", 185 * MS, gap=True))
    rung = seen("360p", [segment(0), replace(whole, parts=lost, gap=True)])
    assert align(rung, SOURCE_SEEN).aligned
    assert rung.gaps == 1
    rung.segments[1] = replace(rung.segments[1], duration_ns=500 * MS)
    assert not align(rung, SOURCE_SEEN).aligned


def test_a_hole_between_its_segments_is_named() -> None:
    found = align(seen("360p", map(segment, (0, 3))), SOURCE_SEEN)
    assert found.missing == (1, 2)
    assert not found.aligned
    assert not align(seen("360p", []), SOURCE_SEEN).aligned


def test_renditions_are_named_by_their_playlists() -> None:
    source = Variant("video.m3u8", "audio.m3u8")
    assert name_of(source, source) == SOURCE
    assert name_of(Variant("a/b/360p.m3u8?x=1", None), source) == "360p"


# -- pictures over a switch ----------------------------------------------------------------------


def pictures(indices: Iterable[int], *, shift_ms: int = 0) -> list[Picture]:
    period = 1000 * MS // FPS
    return [Picture(n * period + shift_ms * MS, period, Stamp(n * 40, n)) for n in indices]


def continuity(*given: Sequence[Picture]) -> Continuity:
    found = Continuity(FPS)
    for group in given:
        for picture in group:
            found.receive(picture)
    return found


def test_a_switch_between_aligned_renditions_leaves_no_seam() -> None:
    found = continuity(pictures(range(10)), pictures(range(10, 20)))
    assert (found.pictures, found.max_discontinuity_ms, found.out_of_step) == (20, 0, 0)


@pytest.mark.parametrize(("following", "seam_ms"), [(range(12, 20), 80), (range(9, 20), 40)])
def test_missing_and_doubled_pictures_are_discontinuities(following: range, seam_ms: float) -> None:
    found = continuity(pictures(range(10)), pictures(following))
    assert found.max_discontinuity_ms == pytest.approx(seam_ms)
    assert found.out_of_step == 0


def test_timestamps_that_are_off_are_found_even_if_the_pictures_follow() -> None:
    found = continuity(pictures(range(10)), pictures(range(10, 20), shift_ms=30))
    assert found.max_discontinuity_ms == pytest.approx(30)
    assert found.out_of_step == 1


def test_pictures_that_are_off_are_found_even_if_the_timestamps_follow() -> None:
    late = [
        replace(one, stamp=Stamp(0, n - 1)) for n, one in enumerate(pictures(range(10, 20)), 10)
    ]
    found = continuity(pictures(range(10)), late)
    assert (found.max_discontinuity_ms, found.out_of_step) == (0, 1)


def test_an_unreadable_picture_is_out_of_step_once() -> None:
    damaged = [replace(pictures([5])[0], stamp=None)]
    found = continuity(pictures(range(5)), damaged, pictures(range(6, 10)))
    assert (found.max_discontinuity_ms, found.out_of_step) == (0, 1)


def test_a_hole_that_the_playlist_owns_to_is_no_discontinuity() -> None:
    found = continuity(pictures(range(10)))
    found.receive(pictures([30])[0], after_gap=True)
    found.receive(pictures([31])[0])
    assert (found.max_discontinuity_ms, found.out_of_step) == (0, 0)


# -- what is wrong, in words ---------------------------------------------------------------------


def findings(switching: Switching | None = CLEAN) -> LadderFindings:
    rung = seen("360p", map(segment, range(4)))
    return LadderFindings(("360p",), {SOURCE: SOURCE_SEEN, "360p": rung}, switching)


def test_a_good_ladder_has_no_problem() -> None:
    assert findings().problems() == []


@pytest.mark.parametrize(
    ("switching", "problem"),
    [
        (None, "no player got from one rendition to another"),
        (replace(CLEAN, path=(SOURCE,)), "no player got from one rendition to another"),
        (replace(CLEAN, decoded=147), "3 pictures did not decode over a switch"),
        (replace(CLEAN, max_discontinuity_ms=40), "a switch left a gap or an overlap of 40.0 ms"),
        (replace(CLEAN, out_of_step=2), "2 pictures were not the one that their time says"),
    ],
)
def test_a_bad_switch_is_named(switching: Switching | None, problem: str) -> None:
    assert findings(switching).problems() == [problem]


def test_a_rendition_that_is_not_there_or_not_aligned_is_named() -> None:
    found = findings()
    found.asked = ("480p", "360p")
    found.renditions["360p"].segments[1] = segment(1, parts=(200, 200, 167))
    assert found.problems() == [
        "the rendition 480p was never listed",
        "the rendition 360p is up to 33.0 ms off the source",
    ]
    del found.renditions["360p"].segments[1]
    assert found.problems()[1] == "the rendition 360p lacks 1 segments of the source"
    found.renditions["360p"].failure = "GET failed"
    assert found.problems()[1] == "the rendition 360p broke off: GET failed"


def test_what_the_node_owned_to_have_left_out_is_no_problem() -> None:
    found = LadderFindings(("480p",), {SOURCE: SOURCE_SEEN}, trimmed="480p was left out")
    assert found.problems() == []
    # The source has no such excuse.
    assert LadderFindings((), {}, trimmed="480p was left out").problems() == [
        "the rendition source was never listed"
    ]
