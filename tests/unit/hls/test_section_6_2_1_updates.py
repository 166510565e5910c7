"""How a live playlist may change: draft-pantos-hls-rfc8216bis 6.2.1, 6.2.2; 4.4.2.2, 4.4.3.8."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.hls.listing import Place
from hotpath.hls.playlist import MediaPlaylist
from tests.support import m3u8

START_NS = 1_790_000_000_000_000_000
HEADER = 5  # lines
DISTINCT = ("#EXT-X-PART:", "#EXT-X-DATERANGE", "#EXT-X-PROGRAM-DATE-TIME")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("part"), st.booleans()),
        st.tuples(st.just("part"), st.booleans()),
        st.tuples(st.just("close"), st.booleans()),
        st.tuples(st.just("gap"), st.booleans()),
        st.tuples(st.just("date"), st.booleans()),
        st.tuples(st.just("drop"), st.booleans()),
    ),
    max_size=150,
)


def lines(model: MediaPlaylist) -> list[str]:
    """The header, and those of the others that no two segments have the same."""
    found = model.render().splitlines()
    body = [line for line in found[HEADER:] if not line.startswith("#") or is_distinct(line)]
    assert len(body) == len(set(body))
    return found[:HEADER] + body


def is_distinct(line: str) -> bool:
    return line.startswith(DISTINCT)


@settings(max_examples=120, deadline=None)
@given(steps=STEPS, window_s=st.sampled_from([0, 16, 32]))
def test_lines_are_appended_and_removed_and_never_changed_or_moved(
    steps: list[tuple[str, bool]], window_s: int
) -> None:
    model = MediaPlaylist("v/", target_duration_s=1, part_target_ms=215, window_s=window_s)
    msn, parts, discontinuity = 0, 0, 0
    before = lines(model)
    for number, (kind, flag) in enumerate(steps):
        if parts == 0:
            discontinuity += kind in ("part", "gap") and flag
        place = Place(msn, discontinuity, discontinuity, START_NS + msn * 1_000_000_000)
        if kind == "part" and parts < 4:
            model.add_part(place, parts, 200_000, independent=flag)
            parts += 1
        elif kind == "close" and parts:
            model.close_segment(msn, parts * 200_000)
            msn, parts = msn + 1, 0
        elif kind == "gap":
            model.add_gap(place, 1_000_000)
            msn, parts = msn + 1, 0
        elif kind == "date":
            model.add_date(f"d{number}", f'#EXT-X-DATERANGE:ID="d{number}"\n')
        elif kind == "drop":
            model.drop_dates({f"d{each}" for each in range(number // 2)})
        after = lines(model)
        kept = [line for line in before if line in set(after)]
        assert after[: len(kept)] == kept
        before = after


@pytest.mark.parametrize("target", [1, 2, 6])
@pytest.mark.parametrize("part_ms", [100, 215, 1000])
def test_the_server_promises_what_the_draft_demands(target: int, part_ms: int) -> None:
    model = MediaPlaylist("v/", target_duration_s=target, part_target_ms=part_ms)
    found = m3u8.parse(model.render())
    control = m3u8.attributes(found.only("#EXT-X-SERVER-CONTROL"))
    part = Fraction(m3u8.attributes(found.only("#EXT-X-PART-INF"))["PART-TARGET"])
    assert Fraction(control["CAN-SKIP-UNTIL"]) >= 6 * target
    assert Fraction(control["HOLD-BACK"]) >= 3 * target
    assert Fraction(control["PART-HOLD-BACK"]) >= 3 * part
    assert control["CAN-BLOCK-RELOAD"] == control["CAN-SKIP-DATERANGES"] == "YES"


def test_no_start_is_suggested_near_the_end_of_a_live_playlist() -> None:
    """4.4.2.2: not within three target durations of it; so there is none, see `playlist`."""
    model = MediaPlaylist("v/", target_duration_s=2, part_target_ms=215)
    assert "#EXT-X-START" not in m3u8.parse(model.render()).tags


def test_a_live_playlist_has_no_type_and_ends_for_good() -> None:
    model = MediaPlaylist("v/", target_duration_s=2, part_target_ms=215)
    model.add_part(Place(0, 0, 0, START_NS), 0, 200_000, independent=True)
    model.close_segment(0, 200_000)
    assert "#EXT-X-PLAYLIST-TYPE" not in m3u8.parse(model.render()).tags
    model.end()
    assert model.render().endswith("#EXT-X-ENDLIST\n")
