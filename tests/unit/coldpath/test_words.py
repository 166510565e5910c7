"""Cues, WebVTT and the joining of windows."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coldpath.media.words import LINE, LONGEST_MS, Word, cues, merged, transcript
from infra.webvtt import webvtt

_TEXTS = st.text("ab.,<>&-'é", min_size=1, max_size=12)


@st.composite
def speech(draw: st.DrawFn) -> list[Word]:
    words, at = [], 0
    for text in draw(st.lists(_TEXTS, max_size=60)):
        at += draw(st.integers(0, 3_000))
        end = at + draw(st.integers(40, 900))
        words.append(Word(text, at, end))
        at = end
    return words


@given(speech())
def test_every_word_is_in_one_cue_and_cues_do_not_overlap(words: list[Word]) -> None:
    found = cues(words)
    shown = " ".join(line for cue in found for line in cue.lines)
    assert shown.split() == [w.text for w in words]
    assert all(cue.from_ms < cue.to_ms for cue in found)
    assert all(a.to_ms <= b.from_ms for a, b in pairwise(found))
    assert all(len(cue.lines) <= 2 and max(map(len, cue.lines)) <= LINE for cue in found)
    assert all(cue.to_ms - cue.from_ms <= LONGEST_MS for cue in found)


@given(speech())
def test_no_text_ends_a_cue_or_is_markup(words: list[Word]) -> None:
    text = webvtt(cues(words))
    arrows = [line for line in text.splitlines() if "-->" in line]
    assert len(arrows) == len(cues(words))
    assert "<" not in text


@given(speech(), st.integers(0, 60_000), st.integers(-60, 60))
def test_windows_lose_and_double_nothing(words: list[Word], from_ms: int, off: int) -> None:
    """Both windows hear every word whole, the later one at slightly other times."""
    until = from_ms + 5_000
    earlier = [w for w in words if w.to_ms <= until]
    shift = off if all(w.to_ms - w.from_ms > 2 * abs(off) for w in words) else 0
    later = [
        Word(w.text, w.from_ms + shift, w.to_ms + shift) for w in words if w.from_ms >= from_ms
    ]
    assert [w.text for w in merged(earlier, later, from_ms)] == [w.text for w in words]


def test_a_word_that_both_windows_cut_is_taken_from_the_one_that_has_it_whole() -> None:
    earlier = [Word("one", 0, 800), Word("two", 900, 1_500), Word("thr", 1_800, 2_000)]
    later = [Word("o", 1_000, 1_480), Word("three", 1_800, 2_300)]
    assert [w.text for w in merged(earlier, later, 1_000)] == ["one", "two", "three"]


def test_the_file() -> None:
    found = cues(
        [Word("R&D", 0, 400), Word("ends.", 500, 3_600_500), Word("Next", 3_601_000, 3_602_000)]
    )
    assert webvtt(found, media_ms=10_000) == (
        "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\n"
        "00:00:00.000 --> 00:00:00.500\nR&amp;D\n\n"
        "00:00:00.500 --> 01:00:00.500\nends.\n\n"
        "01:00:01.000 --> 01:00:02.000\nNext\n"
    )
    assert webvtt([]) == "WEBVTT\n"


def test_a_transcript_has_a_line_for_each_sentence() -> None:
    words = [
        Word("Yes", 0, 300),
        Word("indeed.", 300, 700),
        Word("So", 800, 900),
        Word("on", 2_500, 2_600),
    ]
    assert transcript(words) == "Yes indeed.\nSo\non\n"
