"""Which date ranges a playlist lists, and where: draft-pantos-hls-rfc8216bis 6.2.1, 6.2.4."""

import pytest

from hotpath.hls.date_set import LIMIT, DateRangeSet
from hotpath.hls.daterange import DateRange, DateRangeError
from hotpath.hls.listing import Place
from hotpath.hls.playlist import MediaPlaylist, PlaylistError
from tests.support import m3u8

START_NS = 1_790_000_000_000_000_000
S = 1_000_000_000
DATE = "#EXT-X-DATERANGE"


def moment(id: str, second: int = 0, **changes: int) -> DateRange:
    return DateRange(id, START_NS + second * S, **changes)  # type: ignore[arg-type]


def dates() -> DateRangeSet:
    return DateRangeSet(skip_ms=12_000, wait_ms=6_000)


def playlist() -> MediaPlaylist:
    return MediaPlaylist("inc/video/", target_duration_s=2, part_target_ms=215)


def fill(model: MediaPlaylist, msn: int, parts: int = 10, *, close: bool = True) -> None:
    place = Place(msn, 0, 0, START_NS + msn * 2 * S)
    for part in range(parts):
        model.add_part(place, part, 200_000, independent=part == 0)
    if close:
        model.close_segment(msn, parts * 200_000)


def ids(text: str) -> list[str]:
    return [m3u8.attributes(value)["ID"] for value in m3u8.parse(text).tags.get(DATE, [])]


def around(text: str, id: str) -> tuple[str, str]:
    """The lines before and after that of the date range."""
    lines = text.splitlines()
    (at,) = (n for n, line in enumerate(lines) if line.startswith(f'{DATE}:ID="{id}"'))
    return lines[at - 1], lines[at + 1]


def test_a_date_range_is_appended_where_the_playlist_ends() -> None:
    model = playlist()
    fill(model, 0)
    fill(model, 1, parts=3, close=False)
    model.add_date("a", '#EXT-X-DATERANGE:ID="a"\n')
    before, after = around(model.render(), "a")
    assert before.endswith('URI="inc/video/s1.2.m4s"')
    assert after.startswith("#EXT-X-PRELOAD-HINT")
    model.add_part(Place(1, 0, 0, 0), 3, 200_000, independent=False)
    before, after = around(model.render(), "a")
    assert before.endswith('URI="inc/video/s1.2.m4s"')
    assert after.endswith('URI="inc/video/s1.3.m4s"')


def test_between_two_segments_it_comes_before_the_tags_of_the_next() -> None:
    model = playlist()
    fill(model, 0)
    model.add_date("a", '#EXT-X-DATERANGE:ID="a"\n')
    fill(model, 1, parts=1, close=False)
    before, after = around(model.render(), "a")
    assert before == "inc/video/s0.m4s"
    assert after.startswith("#EXT-X-PROGRAM-DATE-TIME")


def test_it_stays_when_the_parts_and_the_segment_around_it_go() -> None:
    model = playlist()
    fill(model, 0, parts=3, close=False)
    model.add_date("a", '#EXT-X-DATERANGE:ID="a"\n')
    model.close_segment(0, 2_000_000)
    for msn in range(1, 5):
        fill(model, msn)
    before, after = around(model.render(), "a")
    assert before.startswith("#EXT-X-PROGRAM-DATE-TIME")
    assert after.startswith("#EXTINF")
    for msn in range(5, 30):
        fill(model, msn)
    text = model.render()
    assert ids(text) == ["a"]
    assert text.index(DATE) < text.index("#EXTINF")


def test_a_playlist_without_a_date_time_lists_none() -> None:
    """4.4.5.1: with EXT-X-DATERANGE there is at least one EXT-X-PROGRAM-DATE-TIME."""
    model = playlist()
    model.add_date("a", '#EXT-X-DATERANGE:ID="a"\n')
    assert DATE not in model.render()
    fill(model, 64, parts=1, close=False)
    assert ids(model.render()) == ["a"]


def test_every_change_is_a_new_version() -> None:
    model = playlist()
    fill(model, 0)
    version = model.version
    model.add_date("a", '#EXT-X-DATERANGE:ID="a"\n')
    assert model.version > version
    version = model.version
    model.drop_dates({"a"})
    assert model.version > version
    assert DATE not in model.render()


def test_an_ended_playlist_takes_no_more() -> None:
    model = playlist()
    fill(model, 0)
    model.add_date("a", '#EXT-X-DATERANGE:ID="a"\n')
    model.end()
    assert ids(model.render()) == ["a"]
    with pytest.raises(PlaylistError, match="ended"):
        model.add_date("b", '#EXT-X-DATERANGE:ID="b"\n')


def test_what_is_added_to_a_date_range_is_another_tag_that_repeats_the_rest() -> None:
    known = dates()
    known.add(moment("ad", planned_duration_us=9_000_000), 0)
    assert known.add(moment("ad"), 1) is None
    tag = known.add(moment("ad", duration_us=8_000_000), 2)
    assert tag is not None
    found = m3u8.attributes(tag.line.rstrip().partition(":")[2])
    assert found["START-DATE"] == "2026-09-21T14:13:20.000Z"
    assert (found["PLANNED-DURATION"], found["DURATION"]) == ("9.000000", "8.000000")
    assert [each.id for each in known.tags] == ["ad", "ad"]
    with pytest.raises(DateRangeError, match="another DURATION"):
        known.add(moment("ad", duration_us=7_000_000), 3)
    assert len(known.tags) == 2


def test_a_date_range_stays_while_any_of_it_is_listed() -> None:
    known = dates()
    known.add(moment("short", 1), 0)
    known.add(moment("long", 0, duration_us=10_000_000), 0)
    known.add(moment("planned", 0, planned_duration_us=5_000_000), 0)
    known.add(moment("future", 3600), 0)
    assert known.trim(START_NS + S, 1) == frozenset()
    assert known.trim(START_NS + 2 * S, 2) == {"short"}
    assert known.trim(START_NS + 10 * S, 3) == {"planned"}
    assert known.trim(START_NS + 10 * S + 1, 4) == {"long"}
    assert [tag.id for tag in known.tags] == ["future"]


def test_an_id_is_not_used_again_for_another_date_range() -> None:
    known = dates()
    known.add(moment("poll", 1), 0)
    known.trim(START_NS + 9 * S, 1)
    with pytest.raises(DateRangeError, match="'poll' begins at another START-DATE"):
        known.add(moment("poll", 20), 2)
    assert known.add(moment("poll", 1), 2) is None
    # The same one may say that it has lasted longer than a playlist.
    assert known.add(moment("poll", 1, duration_us=30_000_000), 3) is not None


def test_what_is_over_already_is_not_listed_for_a_moment() -> None:
    known = dates()
    known.trim(START_NS + 9 * S, 0)
    assert known.add(moment("late", 8), 1) is None
    assert known.tags == []
    assert known.add(moment("late", 9), 1) is not None


def test_no_more_are_kept_than_the_limit() -> None:
    known = dates()
    for number in range(LIMIT):
        known.add(moment(f"d{number}", number), 0)
    with pytest.raises(DateRangeError, match=f"{LIMIT} date ranges"):
        known.add(moment("one more", 999), 0)
    known.trim(START_NS + 2 * S, 0)
    assert known.add(moment("one more", 999), 0) is not None
