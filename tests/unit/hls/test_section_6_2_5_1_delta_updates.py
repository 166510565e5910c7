"""Playlist delta updates that skip date ranges: draft-pantos-hls-rfc8216bis 6.2.5.1, 4.4.5.2."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.hls.date_set import DateRangeSet
from hotpath.hls.daterange import DateRange
from hotpath.hls.listing import Place
from hotpath.hls.playlist import MediaPlaylist
from hotpath.hls.tags import Delta
from tests.support import m3u8

START_NS = 1_790_000_000_000_000_000
SEGMENT_MS = 2000
SKIP_MS = 12_000
SKIP, DATE = "#EXT-X-SKIP", "#EXT-X-DATERANGE"


@dataclass
class Programme:
    """One rendition with its date ranges, a segment per two seconds."""

    window_s: int = 0
    model: MediaPlaylist = field(init=False)
    dates: DateRangeSet = field(
        default_factory=lambda: DateRangeSet(skip_ms=SKIP_MS, wait_ms=6_000)
    )
    now_ms: int = 0
    msn: int = 0

    def __post_init__(self) -> None:
        self.model = MediaPlaylist(
            "v/", target_duration_s=2, part_target_ms=215, window_s=self.window_s
        )

    def segment(self) -> None:
        place = Place(self.msn, 0, 0, START_NS + self.msn * SEGMENT_MS * 1_000_000)
        self.now_ms += SEGMENT_MS
        self.model.add_part(place, 0, SEGMENT_MS * 1000, independent=True)
        self.model.close_segment(self.msn, SEGMENT_MS * 1000)
        self.msn += 1
        first_ns = self.model.first_pdt_ns
        assert first_ns is not None
        if gone := self.dates.trim(first_ns, self.now_ms):
            self.model.drop_dates(gone)

    def announce(self, id: str, duration_us: int | None = None) -> None:
        start_ns = START_NS + self.now_ms * 1_000_000
        tag = self.dates.add(DateRange(id, start_ns, duration_us=duration_us), self.now_ms)
        assert tag is not None
        self.model.add_date(tag.id, tag.line)

    def v2(self) -> m3u8.Playlist:
        return m3u8.parse(self.model.render(delta=self.dates.delta(self.now_ms)))


def ids(found: m3u8.Playlist) -> list[str]:
    return [m3u8.attributes(value)["ID"] for value in found.tags.get(DATE, [])]


def removed(found: m3u8.Playlist) -> list[str]:
    listed = m3u8.attributes(found.only(SKIP))["RECENTLY-REMOVED-DATERANGES"]
    return listed.split("\t") if listed else []


def long_programme() -> Programme:
    programme = Programme()
    programme.announce("old", duration_us=60_000_000)
    for _ in range(10):
        programme.segment()
    programme.announce("new")
    programme.segment()
    return programme


def test_yes_keeps_every_date_range() -> None:
    programme = long_programme()
    found = m3u8.parse(programme.model.render(delta=Delta()))
    assert found.skipped > 0
    assert ids(found) == ["old", "new"]
    assert "RECENTLY-REMOVED-DATERANGES" not in m3u8.attributes(found.only(SKIP))


def test_v2_leaves_out_those_added_before_the_skip_boundary() -> None:
    found = long_programme().v2()
    assert found.skipped > 0
    assert ids(found) == ["new"]
    assert removed(found) == []
    assert int(found.only("#EXT-X-VERSION")) >= 10


def test_v2_counts_from_when_a_tag_was_added_whatever_its_dates() -> None:
    programme = long_programme()
    tag = programme.dates.add(DateRange("early", START_NS + 1, duration_us=10**8), programme.now_ms)
    assert tag is not None
    programme.model.add_date(tag.id, tag.line)
    assert ids(programme.v2()) == ["new", "early"]


def test_the_boundary_itself_is_kept() -> None:
    programme = long_programme()
    assert programme.dates.delta(SKIP_MS).dates == 0
    assert programme.dates.delta(SKIP_MS + 1).dates == 1


def test_what_was_removed_is_named_as_long_as_a_client_may_have_it() -> None:
    programme = Programme()
    programme.announce("gone")
    while programme.dates.tags:
        programme.segment()
    at_ms = programme.now_ms
    programme.segment()
    while programme.now_ms <= at_ms + SKIP_MS:
        assert removed(programme.v2()) == ["gone"]
        programme.segment()
    while programme.now_ms <= at_ms + SKIP_MS + 6_000:
        programme.segment()
    assert removed(programme.v2()) == []


def test_what_has_come_back_is_not_named_as_removed() -> None:
    dates = DateRangeSet(skip_ms=SKIP_MS, wait_ms=6_000)
    dates.add(DateRange("poll", START_NS), 0)
    assert dates.trim(START_NS + 1, 1) == {"poll"}
    dates.add(DateRange("poll", START_NS, duration_us=60_000_000), 2)
    assert dates.delta(3) == Delta(0, ())
    assert dates.delta(SKIP_MS + 3) == Delta(1, ())


@pytest.mark.parametrize("segments", [1, 5])
def test_where_no_segment_can_be_skipped_nothing_is(segments: int) -> None:
    programme = Programme()
    programme.announce("a", duration_us=10**9)
    for _ in range(segments):
        programme.segment()
    later = programme.dates.delta(programme.now_ms + 10 * SKIP_MS)
    assert later.dates == 1
    assert programme.model.render(delta=later) == programme.model.render()


def test_the_end_skips_nothing() -> None:
    programme = long_programme()
    programme.model.end()
    assert programme.model.render(delta=programme.dates.delta(10**6)) == programme.model.render()


STEPS = st.lists(
    st.one_of(
        st.just("segment"),
        st.just("segment"),
        st.tuples(st.just("date"), st.none() | st.integers(0, 40_000_000)),
        st.just("reload"),
    ),
    max_size=120,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, window_s=st.sampled_from([0, 32]))
def test_a_client_that_merges_updates_knows_what_the_whole_playlist_lists(
    steps: list[str | tuple[str, int | None]], window_s: int
) -> None:
    """6.3.7: a client asks for an update when what it has is at most half the boundary old."""
    programme, known, loaded_ms = Programme(window_s), set[str](), 0
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            programme.announce(f"d{number}", step[1])
        elif step == "segment":
            programme.segment()
        if not programme.msn:
            continue
        whole = m3u8.parse(programme.model.render())
        if step == "reload" and programme.now_ms - loaded_ms <= SKIP_MS // 2:
            update = programme.v2()
            if update.skipped:
                assert update.skipped + len(update.segments) == len(whole.segments)
                known = (known - set(removed(update))) | set(ids(update))
            else:
                known = set(ids(update))
            loaded_ms = programme.now_ms
            assert known == set(ids(whole))
        elif programme.now_ms - loaded_ms > SKIP_MS // 2:
            known, loaded_ms = set(ids(whole)), programme.now_ms
