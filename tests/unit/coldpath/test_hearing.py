"""Which windows there are, what they are called, and how they become one transcript."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from coldpath.media.hearing import (
    CONTEXT,
    LONGEST_S,
    SEGMENTS,
    Hearing,
    Stretch,
    Window,
    by_run,
    closes,
    joined,
    spoken,
    together,
    wanted,
    windows,
)
from coldpath.media.words import Word
from infra.keys import ProgramKey, WorkKey, parse

KEY = ProgramKey("p", "e")
_PARTS = ((0, 12_000), (8_000, 20_000), (16_000, 28_000))
"""Of windows that are heard at once, in milliseconds."""


def said(text: str, from_ms: int = 0, each_ms: int = 400) -> tuple[Word, ...]:
    return tuple(
        Word(word, from_ms + n * each_ms, from_ms + n * each_ms + each_ms - 100)
        for n, word in enumerate(text.split())
    )


def heard(words: tuple[Word, ...], from_ms: int, to_ms: int, language: str = "en") -> Hearing:
    return Hearing(language, from_ms, to_ms, (Stretch(from_ms, to_ms, words),))


class TestWindows:
    def test_each_segment_is_in_one_window_and_may_be_heard_before_it(self) -> None:
        found = windows(KEY, "i1", range(3, 17))
        assert [w.number for w in found] == [0, 1, 2, 3, 4]
        assert [w.msns for w in found] == [
            (3,),
            (3, 4, 5, 6, 7),
            (6, 7, 8, 9, 10, 11),
            (10, 11, 12, 13, 14, 15),
            (14, 15, 16),
        ]
        own = [msn for w in found for msn in w.msns if msn >= w.first]
        assert own == list(range(3, 17))

    def test_the_segment_that_ends_a_window_is_the_last_that_it_wants(self) -> None:
        for msn in range(40):
            assert closes(msn) == (wanted(msn // SEGMENTS)[-1] == msn)
        assert len(wanted(3)) == SEGMENTS + CONTEXT

    def test_a_name_says_what_was_heard_and_by_whom(self) -> None:
        (window,) = windows(KEY, "i1", range(4))
        key = window.key("model-1-")
        assert parse(str(key)) == key
        assert isinstance(key, WorkKey)
        assert str(key).startswith("work/p/e/main/i1/captions/w0-")
        assert key == windows(KEY, "i1", [2, 0, 1, 3, 3])[0].key("model-1-")
        assert key != window.key("model-1-de")
        assert key != replace(window, msns=(0, 1, 3)).key("model-1-")


def at_once(
    msns: Iterable[int], heard: Collection[int] = (), segment_s: Fraction | int = 2
) -> list[list[int]]:
    """Numbers of the windows that are heard at once."""
    there = list(msns)
    lengths = dict.fromkeys(there, Fraction(segment_s))
    groups = together(windows(KEY, "i1", there), heard, lengths)
    return [[window.number for window in group] for group in groups]


class TestTogether:
    def test_as_many_as_the_model_takes_with_what_they_hear_before(self) -> None:
        assert at_once(range(32)) == [[0, 1, 2], [3, 4, 5], [6, 7]]
        assert at_once(range(32), segment_s=1) == [[0, 1, 2, 3, 4, 5, 6], [7]]
        assert at_once(range(12), segment_s=4) == [[0], [1], [2]]

    def test_what_is_stored_is_not_heard_again(self) -> None:
        assert at_once(range(40), heard=[0, 1, 2, 5, 9]) == [[3, 4], [6, 7, 8]]
        assert at_once(range(8), heard=[0, 1]) == []

    def test_one_that_its_own_job_may_be_hearing_is_heard_as_that_does(self) -> None:
        assert at_once(range(6)) == [[0], [1]]
        assert at_once(range(18), heard=[0, 1, 2]) == [[3], [4]]
        assert at_once(range(10)) == [[0, 1, 2]]

    def test_what_does_not_follow_is_heard_by_itself(self) -> None:
        assert at_once([*range(8), *range(16, 24)]) == [[0, 1], [4, 5]]

    @given(
        st.sets(st.integers(0, 60), min_size=1),
        st.sets(st.integers(0, 15)),
        st.fractions(Fraction(1, 2), 12, max_denominator=1000),
    )
    def test_each_once_and_whoever_goes_on_later_finds_the_same(
        self, msns: set[int], heard: set[int], segment_s: Fraction
    ) -> None:
        groups = at_once(msns, heard, segment_s)
        numbers = [number for group in groups for number in group]
        assert numbers == sorted({msn // SEGMENTS for msn in msns} - heard)
        for done, group in enumerate(groups):
            by_then = {*heard, *chain.from_iterable(groups[:done])}
            assert at_once(msns, by_then, segment_s) == groups[done:]
            if len(group) > 1:
                whole = [n for n in group if (n + 1) * SEGMENTS - 1 in msns]
                heard_at_once = {msn for n in group for msn in wanted(n)} & msns
                assert len(whole) > 1
                assert len(heard_at_once) * segment_s < LONGEST_S


class TestHearing:
    def test_it_is_stored_as_it_is(self) -> None:
        it = heard(said("né für 日本 me"), 100, 9_000)
        assert Hearing.from_json(it.to_json()) == it
        nothing = Hearing("", 0, 0, ())
        assert Hearing.from_json(nothing.to_json()) == nothing

    def test_a_window_says_what_lies_between_its_cuts(self) -> None:
        stretch = Stretch(0, 14_000, said("before a b c d after", 3_500, 1_000))
        cues = Hearing("en", 4_100, 8_400, (stretch,)).cues(1_000_000)
        assert [cue.text for cue in cues] == ["a b c d"]
        assert (cues[0].start_ms, cues[0].end_ms) == (1_004_500, 1_008_400)

    def test_a_part_of_a_stretch_has_the_words_whose_middle_lies_there(self) -> None:
        words = (Word("a", 900, 1_400), Word("b", 1_900, 2_200), Word("c", 2_600, 3_500))
        stretch = Stretch(1_000, 3_000, words)
        assert stretch.within(0, 9_000) == stretch
        assert stretch.within(1_000, 2_050) == Stretch(1_000, 2_050, words[:1])
        assert stretch.within(2_050, 3_000) == Stretch(2_050, 3_000, words[1:])
        assert stretch.within(3_000, 4_000) is None

    @given(
        st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 2_000)), max_size=40),
        st.integers(0, 20_000),
        st.integers(1, 30_000),
    )
    def test_cues_stay_in_their_window(
        self, steps: list[tuple[int, int]], start: int, length: int
    ) -> None:
        words, at = [], 0
        for pause, lasts in steps:
            words.append(Word("word", at + pause, at + pause + lasts))
            at += pause + lasts
        window = Hearing("en", start, start + length, (Stretch(0, at, tuple(words)),))
        end = start
        for cue in window.cues(0):
            assert end <= cue.start_ms < cue.end_ms <= start + length
            end = cue.end_ms


class TestJoined:
    def test_what_two_windows_heard_is_said_once(self) -> None:
        first = heard(said("one two three four fi"), 0, 2_000)
        second = heard(said("our five six", 1_250), 1_250, 3_000)
        third = heard(said("later", 60_000), 60_000, 61_000)
        words = joined([first, second, third])
        assert [w.text for w in words] == ["one", "two", "three", "four", "five", "six", "later"]

    @given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 900)), max_size=80))
    def test_what_was_heard_at_once_is_said_once(self, steps: list[tuple[int, int]]) -> None:
        words, at = [], 0
        for number, (pause, lasts) in enumerate(steps):
            words.append(Word(f"{number}", at + pause, at + pause + lasts))
            at += pause + lasts
        whole = Stretch(0, 28_000, tuple(word for word in words if word.from_ms < 28_000))
        parts = [whole.within(start, end) for start, end in _PARTS]
        assert None not in parts
        hearings = [Hearing("en", 0, 0, (part,)) for part in parts if part is not None]
        assert joined(hearings) == list(whole.words)

    def test_silence_between_changes_nothing(self) -> None:
        quiet = Hearing("", 2_000, 8_000, (Stretch(2_000, 8_000, ()),))
        first, last = heard(said("a b"), 0, 2_000), heard(said("c", 9_000), 8_000, 9_900)
        assert [w.text for w in joined([first, quiet, last])] == ["a", "b", "c"]

    def test_the_language_is_that_of_most_words(self) -> None:
        assert spoken([]) == ""
        several = [
            heard(said("ja"), 0, 1, "de"),
            heard(said("oh yes indeed"), 0, 1, "en"),
            heard(said("doch"), 0, 1, "de"),
            heard((), 0, 1, "fr"),
        ]
        assert spoken(several) == "en"


class TestRuns:
    def test_each_word_is_in_the_run_in_which_it_is_said(self) -> None:
        words = [*said("early a b", 9_400), *said("c d", 60_000)]
        runs = by_run(words, [10_000, 30_000, 60_000])
        assert [[w.text for w in run] for run in runs] == [["early", "a", "b"], [], ["c", "d"]]
        assert runs[0][0].from_ms == 0
        assert runs[2] == list(said("c d"))


def test_a_window_knows_its_first_own_segment() -> None:
    assert Window(KEY, "i1", 2, (6, 7, 8)).first == 8
