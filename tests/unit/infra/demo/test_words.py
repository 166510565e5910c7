"""How far a transcript is from what was said."""

from infra.demo.words import edits, word_error_rate, words_of


def test_case_and_punctuation_are_no_words() -> None:
    assert words_of("Cold-hearted; Mr. John's.") == ["cold", "hearted", "mr", "john's"]


def test_words_more_less_and_other_count() -> None:
    said = ["a", "b", "c", "d"]
    assert word_error_rate(said, said) == 0
    assert word_error_rate(said, ["a", "c", "d"]) == 0.25
    assert word_error_rate(said, ["a", "b", "x", "c", "d"]) == 0.25
    assert word_error_rate(said, ["a", "b", "c", "e"]) == 0.25
    assert word_error_rate(said, []) == 1


def test_edits_are_told_of_every_beginning() -> None:
    assert edits(["a", "b", "c"], ["a", "b"]) == [2, 1, 0, 1]
