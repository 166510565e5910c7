"""Media playlists: read back by an independent parser, held against the draft's rules."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.hls.listing import Place
from hotpath.hls.playlist import MediaPlaylist, PlaylistError
from hotpath.hls.tags import Delta, Report
from hotpath.hls.values import date_time, seconds
from tests.support import m3u8

START_NS = 1_790_000_000_000_000_000
PART_US = 200_000


def playlist(**changes: int) -> MediaPlaylist:
    options = {"target_duration_s": 2, "part_target_ms": 215, **changes}
    return MediaPlaylist("inc/video/", **options)


def place(msn: int, discontinuity: int = 0, init: int = 0) -> Place:
    return Place(msn, init, discontinuity, START_NS + msn * 2_000_000_000)


def fill(model: MediaPlaylist, msn: int, parts: int = 10, *, close: bool = True) -> None:
    for part in range(parts):
        model.add_part(place(msn), part, PART_US, independent=part == 0)
    if close:
        model.close_segment(msn, parts * PART_US)


def test_the_header_declares_what_the_server_does() -> None:
    model = playlist()
    fill(model, 0)
    found = m3u8.parse(model.render())
    assert found.only("#EXT-X-VERSION") == "10"
    assert found.only("#EXT-X-TARGETDURATION") == "2"
    assert Fraction(m3u8.attributes(found.only("#EXT-X-PART-INF"))["PART-TARGET"]) == Fraction(
        "0.215"
    )
    control = m3u8.attributes(found.only("#EXT-X-SERVER-CONTROL"))
    assert control["CAN-BLOCK-RELOAD"] == "YES"
    assert Fraction(control["PART-HOLD-BACK"]) == 3 * Fraction("0.215")
    assert Fraction(control["HOLD-BACK"]) == 6
    assert Fraction(control["CAN-SKIP-UNTIL"]) == 12
    assert control["CAN-SKIP-DATERANGES"] == "YES"


def test_a_playlist_that_is_about_to_begin() -> None:
    model = playlist()
    assert m3u8.parse(model.render()).segments == []
    assert model.hint is None
    model.add_part(place(64), 0, PART_US, independent=True)
    found = m3u8.parse(model.render())
    assert found.open.msn == 64
    assert found.open.map == "inc/video/init-0.mp4"
    assert [part.uri for part in found.open.parts] == ["inc/video/s64.0.m4s"]
    assert found.hint == "inc/video/s64.1.m4s"
    assert model.edge.last_msn == 63


def test_parts_come_before_their_segment_and_say_whether_they_are_independent() -> None:
    model = playlist()
    fill(model, 7, parts=3)
    fill(model, 8, parts=2, close=False)
    found = m3u8.parse(model.render())
    (segment,) = found.segments
    assert (segment.msn, segment.uri) == (7, "inc/video/s7.m4s")
    assert [part.independent for part in segment.parts] == [True, False, False]
    assert sum(part.duration for part in segment.parts) == segment.duration == Fraction(3, 5)
    assert found.open.msn == 8
    assert found.hint == "inc/video/s8.2.m4s"


def test_the_hint_after_a_segment_that_ended_with_its_part_is_of_the_next() -> None:
    model = playlist()
    fill(model, 7, parts=2, close=False)
    model.add_part(place(7), 2, PART_US, independent=False, last=True)
    assert m3u8.parse(model.render()).hint == "inc/video/s8.0.m4s"
    model.close_segment(7, 3 * PART_US)
    assert m3u8.parse(model.render()).hint == "inc/video/s8.0.m4s"
    assert model.add_part(place(8), 0, PART_US, independent=True) == "s8.0.m4s"


def test_a_hint_that_went_out_is_kept_by_the_next_segment() -> None:
    model = playlist()
    fill(model, 7, parts=2)
    assert m3u8.parse(model.render()).hint == "inc/video/s7.2.m4s"
    model.add_gap(place(8), PART_US)
    assert m3u8.parse(model.render()).hint == "inc/video/s7.2.m4s"
    assert model.add_part(place(9), 0, PART_US, independent=True) == "s7.2.m4s"
    found = m3u8.parse(model.render())
    assert [part.uri for part in found.open.parts] == ["inc/video/s7.2.m4s"]
    assert found.hint == "inc/video/s9.1.m4s"


def test_program_date_time_is_utc_with_milliseconds() -> None:
    assert date_time(1_790_000_000_123_456_789) == "2026-09-21T14:13:20.123Z"
    model = playlist()
    fill(model, 3)
    expected = datetime.fromtimestamp(START_NS / 1e9, UTC) + timedelta(seconds=6)
    assert m3u8.parse(model.render()).segments[0].date == expected


def test_a_discontinuity_is_tagged_with_its_map() -> None:
    model = playlist()
    fill(model, 0)
    model.add_part(place(1, discontinuity=1, init=1), 0, PART_US, independent=True)
    model.close_segment(1, PART_US)
    found = m3u8.parse(model.render())
    assert [segment.discontinuity for segment in found.segments] == [0, 1]
    assert [segment.map for segment in found.segments] == [
        "inc/video/init-0.mp4",
        "inc/video/init-1.mp4",
    ]


def test_a_first_segment_late_in_the_programme_states_its_discontinuity_number() -> None:
    model = playlist()
    model.add_part(place(64, discontinuity=3), 0, PART_US, independent=True)
    model.close_segment(64, PART_US)
    text = model.render()
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:3\n" in text
    assert "#EXT-X-DISCONTINUITY\n" not in text


def test_the_discontinuity_tag_leaves_with_its_segment() -> None:
    model = playlist()
    for msn in range(40):
        model.add_part(place(msn, discontinuity=int(msn >= 3)), 0, PART_US, independent=True)
        model.close_segment(msn, 2_000_000)
        found = m3u8.parse(model.render())
        assert [s.discontinuity for s in found.segments] == [
            int(s.msn >= 3) for s in found.segments
        ]


def test_a_gap_segment_is_tagged() -> None:
    model = playlist()
    fill(model, 0)
    model.add_gap(place(1), 2_000_000)
    found = m3u8.parse(model.render())
    assert found.segments[1].gap
    assert found.segments[1].uri == "inc/video/s1.m4s"
    assert found.segments[1].duration == 2


def test_a_segment_that_was_lost_half_way_keeps_the_parts_it_listed() -> None:
    model = playlist()
    fill(model, 0)
    fill(model, 1, parts=4, close=False)
    model.add_gap(place(1), 2_000_000)
    segment = m3u8.parse(model.render()).segments[1]
    assert segment.gap
    assert [part.gap for part in segment.parts] == [False] * 4 + [True] * 6
    assert sum(part.duration for part in segment.parts) == segment.duration
    assert all(part.duration <= Fraction("0.215") for part in segment.parts)


def test_old_parts_leave_before_their_segments_do() -> None:
    model = playlist()
    for msn in range(6):
        fill(model, msn)
    found = m3u8.parse(model.render())
    # 3 target durations = 3 segments from the end
    assert [bool(segment.parts) for segment in found.segments] == [False] * 3 + [True] * 3


def test_what_leaves_is_told() -> None:
    model = playlist()
    for msn in range(11):
        fill(model, msn)
    for part in range(10):
        model.add_part(place(11), part, PART_US, independent=part == 0)
    trimmed = model.close_segment(11, 2_000_000)
    assert trimmed.part_tags == (8,)
    assert trimmed.segments == (1,)


def test_a_delta_update_leaves_out_what_the_client_has() -> None:
    model = playlist()
    for msn in range(30):
        fill(model, msn)
    fill(model, 30, parts=2, close=False)
    reports = [Report("audio.m3u8", 30, 1)]
    full, delta = (m3u8.parse(model.render(reports, delta=delta)) for delta in (None, Delta()))
    assert delta.skipped > 0
    assert full.skipped == 0
    kept = [segment for segment in full.segments if segment.msn >= delta.segments[0].msn]
    assert [(s.msn, s.uri, s.parts, s.duration) for s in delta.segments] == [
        (s.msn, s.uri, s.parts, s.duration) for s in kept
    ]
    assert delta.skipped + len(delta.segments) == len(full.segments)
    assert delta.open.parts == full.open.parts
    assert {k: v for k, v in delta.tags.items() if k != "#EXT-X-SKIP"} == full.tags
    # everything within the skip boundary stays
    assert sum(s.duration or 0 for s in delta.segments) >= 12
    assert len(model.render(delta=Delta())) < len(model.render())


def test_a_short_playlist_has_nothing_to_leave_out() -> None:
    model = playlist()
    for msn in range(4):
        fill(model, msn)
    assert model.render(delta=Delta()) == model.render()


def test_rendition_reports_tell_where_siblings_stand() -> None:
    model = playlist()
    fill(model, 0)
    text = model.render([Report("audio.m3u8", 5, 2), Report("other.m3u8", 4, None)])
    first, second = m3u8.parse(text).tags["#EXT-X-RENDITION-REPORT"]
    assert m3u8.attributes(first) == {"URI": "audio.m3u8", "LAST-MSN": "5", "LAST-PART": "2"}
    assert m3u8.attributes(second) == {"URI": "other.m3u8", "LAST-MSN": "4"}


def test_the_end_is_final() -> None:
    model = playlist()
    fill(model, 0)
    model.end()
    found = m3u8.parse(model.render([Report("audio.m3u8", 5, 2)], delta=Delta()))
    assert found.ended
    assert found.hint is None
    assert "#EXT-X-RENDITION-REPORT" not in found.tags
    with pytest.raises(PlaylistError):
        model.add_part(place(1), 0, PART_US, independent=True)


@pytest.mark.parametrize("us", [0, 1, 999_999, 1_000_000, 213_333, 2_002_000])
def test_durations_are_exact(us: int) -> None:
    assert Fraction(seconds(us)) * 1_000_000 == us


def test_numbers_that_do_not_follow_are_refused_and_change_nothing() -> None:
    model = playlist()
    fill(model, 5)
    before = model.render()
    for wrong in (
        lambda: model.add_part(place(7), 0, PART_US, independent=True),
        lambda: model.add_part(place(5), 0, PART_US, independent=True),
        lambda: model.close_segment(6, PART_US),
        lambda: model.add_gap(place(4), PART_US),
    ):
        with pytest.raises(PlaylistError):
            wrong()
        assert model.render() == before


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("segment"), st.integers(1, 12), st.booleans()),
        st.tuples(st.just("gap"), st.integers(0, 12), st.booleans()),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, first=st.integers(0, 1000), target=st.integers(1, 10))
def test_a_playlist_keeps_its_promises_over_time(
    steps: list[tuple[str, int, bool]], first: int, target: int
) -> None:
    model = playlist(target_duration_s=target)
    part_us = target * 1_000_000 // 12
    seen: dict[int, m3u8.SegmentTag] = {}
    last_msn, last_discontinuity, discontinuity = -1, -1, 0
    version = model.version
    hint: str | None = None
    for number, (kind, parts, change) in enumerate(steps):
        msn = first + number
        discontinuity += change
        where = Place(msn, discontinuity, discontinuity, START_NS + number)
        for part in range(parts):
            model.add_part(where, part, part_us, independent=part == 0)
        if kind == "segment":
            model.close_segment(msn, parts * part_us)
        else:
            model.add_gap(where, target * 1_000_000)
        assert model.version > version
        version = model.version
        found = m3u8.parse(model.render())
        assert int(found.only("#EXT-X-TARGETDURATION")) == target
        assert found.segments[0].msn >= last_msn
        assert found.segments[0].discontinuity >= last_discontinuity
        last_msn, last_discontinuity = found.segments[0].msn, found.segments[0].discontinuity
        assert [s.msn for s in found.segments] == list(range(last_msn, msn + 1))
        assert found.segments[-1].discontinuity == discontinuity
        for segment in found.segments:
            assert segment.map == f"inc/video/init-{segment.discontinuity}.mp4"
            assert segment.duration is not None
            assert int(segment.duration + Fraction(1, 2)) <= target
            known = seen.setdefault(segment.msn, segment)
            same = (known.uri, known.duration, known.date, known.discontinuity, known.gap)
            assert same == (
                segment.uri, segment.duration, segment.date, segment.discontinuity, segment.gap
            )  # fmt: skip
            assert segment.parts in ([], known.parts)
        # never below three target durations, once there were that many
        listed = sum(segment.duration or 0 for segment in found.segments)
        assert listed >= 3 * target or found.segments[0].msn == first
        uris = [part.uri for segment in found.segments for part in segment.parts]
        assert len(uris) == len(set(uris))
        assert hint is None or parts == 0 or hint in uris or not found.segments[-1].parts
        assert found.hint not in uris
        hint = found.hint
