"""Live captions: which segments are listed when, with which cues."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls.captions import LONGEST_LIST_S, WAIT_MS, WINDOWS, CaptionList, CaptionSegment, Span
from hotpath.hls.listing import Place
from infra.events.captions import HeardCue, HeardWindow
from tests.support.m3u8 import parse

EPOCH_MS = 1_790_000_000_000
SEGMENT_MS = 2_000


def span(msn: int, discontinuity: int = 0) -> Span:
    pdt_ns = (EPOCH_MS + msn * SEGMENT_MS) * 1_000_000
    start_us = msn * SEGMENT_MS * 1000
    return Span(Place(msn, 0, discontinuity, pdt_ns), start_us, SEGMENT_MS * 1000)


def window(from_s: float, until_s: float, *cues: tuple[float, float, str]) -> HeardWindow:
    def ms(seconds: float) -> int:
        return EPOCH_MS + round(seconds * 1000)

    heard = tuple(HeardCue(ms(start), ms(end), text) for start, end, text in cues)
    return HeardWindow("p", "ev", "main", "i1", "en", ms(from_s), ms(until_s), heard)


def captions(count: int = 0, **options: int) -> CaptionList:
    """With the first segments of the source, of which the first is listed."""
    made = CaptionList("i1/", target_duration_s=2, **options)
    for msn in range(count):
        made.add(span(msn))
    if count:
        assert names(made.due(EPOCH_MS)) == ["i1/captions/s0.vtt"]
    return made


def names(segments: Iterable[CaptionSegment]) -> list[str]:
    return [segment.name for segment in segments]


def cues(text: str) -> list[str]:
    """Each as one line."""
    head, *blocks = text.split("\n\n")
    assert head.rstrip() == "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0"
    return [block.strip().replace("\n", " ") for block in blocks]


def test_a_segment_is_listed_when_all_of_it_was_heard() -> None:
    made = captions(5)
    made.hear(window(0, 5, (2.5, 3.5, "hello")))
    listed = list(made.due(EPOCH_MS + 10_000))
    assert names(listed) == ["i1/captions/s1.vtt"]
    assert cues(listed[0].text) == ["00:00:02.500 --> 00:00:03.500 hello"]
    made.hear(window(5, 10))
    assert names(made.due(EPOCH_MS + 10_000)) == [f"i1/captions/s{n}.vtt" for n in (2, 3, 4)]


def test_windows_may_come_in_any_order_and_more_than_once() -> None:
    made = captions(4)
    made.hear(window(5, 8, (5.5, 6.5, "world")))
    assert not list(made.due(EPOCH_MS + 8_000))
    for _ in range(2):
        made.hear(window(0, 5, (4.2, 4.9, "hello")))
    listed = list(made.due(EPOCH_MS + 8_000))
    assert [len(cues(segment.text)) for segment in listed] == [0, 2, 1]


def test_a_cue_that_goes_on_is_the_same_in_the_next_segment() -> None:
    made = captions(4)
    made.hear(window(0, 8, (3.5, 4.5, "over\nthe edge")))
    first, second, third = made.due(EPOCH_MS + 8_000)
    assert cues(first.text) == cues(second.text) == ["00:00:03.500 --> 00:00:04.500 over the edge"]
    assert "over\nthe edge" in first.text
    assert cues(third.text) == []


def test_nobody_is_waited_for_longer_than_that() -> None:
    made = captions(3)
    until_ms = EPOCH_MS + 2 * SEGMENT_MS
    assert not list(made.due(until_ms + WAIT_MS - 1))
    listed = list(made.due(until_ms + WAIT_MS))
    assert names(listed) == ["i1/captions/s1.vtt"]
    assert cues(listed[0].text) == []


def test_what_is_heard_when_it_is_listed_changes_nothing_and_is_counted() -> None:
    made = captions(3)
    list(made.due(EPOCH_MS + 60_000))
    before = made.text()
    assert made.hear(window(0, 6, (1, 2, "late"), (5, 6, "late too"))) == 2
    assert made.text() == before
    made.add(span(3))
    assert cues(next(made.due(EPOCH_MS + 60_000)).text) == []


def test_the_playlist_lists_the_segments_of_the_source() -> None:
    made = captions(2)
    made.add(span(2, discontinuity=1))
    list(made.due(EPOCH_MS + 60_000))
    found = parse(made.text())
    assert [segment.msn for segment in found.segments] == [0, 1, 2]
    assert [segment.discontinuity for segment in found.segments] == [0, 0, 1]
    assert [segment.uri for segment in found.segments] == [
        f"i1/captions/s{n}.vtt" for n in range(3)
    ]
    assert found.only("#EXT-X-TARGETDURATION") == "2"
    assert "#EXT-X-ENDLIST" not in made.text()


def test_the_end_lists_what_is_left_and_nothing_follows() -> None:
    made = captions(3)
    made.hear(window(0, 4, (2, 3, "the last words")))
    assert len(list(made.end(EPOCH_MS + 6_000, final=True))) == 2
    assert made.text().endswith("#EXT-X-ENDLIST\n")
    made.add(span(3))
    assert not list(made.due(EPOCH_MS + 60_000))


def test_a_segment_counts_once() -> None:
    made = captions(2)
    made.add(span(1))
    made.add(span(0))
    assert names(made.due(EPOCH_MS + 60_000)) == ["i1/captions/s1.vtt"]


@pytest.mark.parametrize(("window_s", "kept_s"), [(0, 20), (60, 60), (50_000, LONGEST_LIST_S)])
def test_what_is_listed_is_bounded(window_s: int, kept_s: int) -> None:
    made = captions(1, window_s=window_s)
    gone: list[str] = []
    for msn in range(1, 2_000):
        made.add(span(msn))
        for segment in made.due(EPOCH_MS + msn * SEGMENT_MS + 60_000):
            gone += segment.gone
    found = parse(made.text())
    assert len(found.segments) == kept_s // 2
    assert gone == [f"i1/captions/s{n}.vtt" for n in range(2_000 - kept_s // 2)]
    assert found.segments[0].msn == 2_000 - kept_s // 2


def test_what_is_heard_ahead_is_bounded() -> None:
    made = captions(1)
    for number in range(3 * WINDOWS):
        made.hear(window(10 + number, 11 + number, (10 + number, 11 + number, f"cue {number}")))
    made.add(span(1))
    for msn in range(2, 200):
        made.add(span(msn))
    found = [cue for s in made.due(EPOCH_MS + 999_000) for cue in cues(s.text)]
    assert len(set(found)) == WINDOWS


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(1, 12),
            st.text("ab <>&-\n", min_size=1, max_size=20).filter(str.strip),
        ),
        max_size=12,
    ),
    st.lists(st.integers(0, 60), max_size=12),
)
def test_whatever_is_heard_the_list_goes_on(
    heard: list[tuple[int, int, str]], times: list[int]
) -> None:
    made = captions(1)
    listed = 1
    for (start, length, text), at in zip(heard, times, strict=False):
        made.hear(window(start, start + length, (start, start + length, text)))
        listed += len(list(made.due(EPOCH_MS + at * 1000)))
    for msn in range(1, 20):
        made.add(span(msn))
        for segment in made.due(EPOCH_MS + 100_000):
            listed += 1
            assert segment.text.startswith("WEBVTT\n")
            assert segment.text.count(" --> ") == len(cues(segment.text))
    assert listed == 20
    assert [segment.msn for segment in parse(made.text()).segments][-1] == 19
