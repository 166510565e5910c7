"""The demo's changing player and its watch over renditions, against a small origin over HTTP."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from infra.demo.ladder import SOURCE, Switching, align
from infra.demo.ladder_watch import LadderWatch
from infra.demo.switching import SwitchingPlayer
from tests.support.llhls import FPS, PART_FRAMES, SEGMENT_PARTS, Media, Origin, make_media

SECONDS = 5
SMALL = (320, 180)
SEGMENTS = 3

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Media]:
    small = make_media(tmp_path_factory.mktemp("small"), SECONDS, SMALL)["video"]
    return {**make_media(tmp_path_factory.mktemp("source"), SECONDS), "180p": small}


async def played(media: dict[str, Media], lost: Iterable[int] = ()) -> Switching:
    """`lost`: parts of the rung that the playlist owns to have lost."""
    async with Origin(media) as origin:
        origin.lost |= {f"180p-{number}.mp4" for number in lost}
        origin.start_s -= 60  # it has ended, and can be played at once
        return await SwitchingPlayer(origin.url, FPS).play()


async def test_changes_at_segment_boundaries_without_a_seam(media: dict[str, Media]) -> None:
    found = await played(media)
    assert found.path == (SOURCE, "180p", SOURCE)
    assert found.decoded == found.pictures == SEGMENTS * SEGMENT_PARTS * PART_FRAMES
    assert (found.max_discontinuity_ms, found.out_of_step, found.gaps) == (0, 0, 0)
    assert found.problems() == []


async def test_finds_a_rendition_whose_pictures_are_late(
    media: dict[str, Media], tmp_path: Path
) -> None:
    late = make_media(tmp_path, SECONDS, SMALL, first=2)["video"]
    found = await played({**media, "180p": late})
    assert found.max_discontinuity_ms == 0
    assert found.out_of_step == 2
    assert found.problems() == ["2 pictures were not the one that their time says"]


async def test_finds_a_segment_that_is_not_where_its_number_says(media: dict[str, Media]) -> None:
    small, late = media["180p"], SEGMENT_PARTS
    shifted = Media(small.init, [*small.parts[late:], *small.parts[:late]])
    found = await played({**media, "180p": shifted})
    assert found.max_discontinuity_ms == pytest.approx(1000 * late * PART_FRAMES / FPS)


async def test_finds_a_segment_that_does_not_begin_with_a_keyframe(media: dict[str, Media]) -> None:
    small = media["180p"]
    found = await played({**media, "180p": Media(small.init, [*small.parts[1:], small.parts[0]])})
    assert found.pictures - found.decoded == (SEGMENT_PARTS - 1) * PART_FRAMES


async def test_what_the_playlist_owns_to_have_lost_is_no_seam(media: dict[str, Media]) -> None:
    end = 2 * SEGMENT_PARTS
    found = await played(media, range(end - 2, end))
    assert found.path == (SOURCE, "180p", SOURCE)
    assert found.gaps == 2
    assert found.pictures == (SEGMENTS * SEGMENT_PARTS - 2) * PART_FRAMES
    assert found.problems() == []


async def test_goes_on_behind_a_segment_that_is_lost_as_a_whole(media: dict[str, Media]) -> None:
    found = await played(media, range(SEGMENT_PARTS, 2 * SEGMENT_PARTS))
    assert found.path == (SOURCE,)
    assert found.pictures == 2 * SEGMENT_PARTS * PART_FRAMES
    assert found.problems() == []


async def test_watches_every_rendition_to_the_end(media: dict[str, Media]) -> None:
    async with Origin(media) as origin:
        origin.start_s -= 3.0  # one segment is there, and the rest comes while it watches
        watch = LadderWatch(origin.url)
        await watch.run()
    await watch.until_listed(["180p"])
    assert list(watch.renditions) == [SOURCE, "180p"]
    for seen in watch.renditions.values():
        assert list(seen.segments) == list(range(SEGMENTS))
        assert seen.failure is None
    rung = watch.renditions["180p"]
    assert rung.variant.bandwidth == 1_000_000
    assert align(rung, watch.renditions[SOURCE]).aligned
    reloads = [one for one in origin.requests if "180p.m3u8" in one]
    assert len(reloads) <= SEGMENTS, "a rendition is asked for once a segment"


async def test_a_rendition_that_is_gone_costs_no_other(
    media: dict[str, Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.demo.rendition.RETRY_S", 0.0)
    async with Origin(media) as origin:
        origin.start_s -= 60
        watch = LadderWatch(origin.url)
        origin.gone.add("180p.m3u8")
        await watch.run()
    assert "404" in (watch.renditions["180p"].failure or "")
    assert list(watch.renditions[SOURCE].segments) == list(range(SEGMENTS))
