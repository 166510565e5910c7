"""Whether captions say what was said."""

import pytest

from infra.demo.heard import CLIP_MS, Captions, looped_error_rate, said

CLIP = said()


def test_the_clip_is_what_its_readme_says() -> None:
    assert len(CLIP) == 52
    assert CLIP[:5] == ["and", "mr", "john", "dashwood", "had"]
    assert CLIP[-2:] == ["amiable", "himself"]


@pytest.mark.parametrize("turns", [0.3, 1.0, 1.6, 3.0])
def test_words_of_a_loop_that_ends_anywhere_are_right(turns: float) -> None:
    count = round(turns * len(CLIP))
    for heard in (count - 3, count, count + 3):
        words = [CLIP[n % len(CLIP)] for n in range(heard)]
        assert looped_error_rate(CLIP, words, round(turns * CLIP_MS)) == 0


def test_what_is_wrong_counts() -> None:
    words = ["nonsense" if n % 5 == 0 else word for n, word in enumerate(CLIP)]
    assert looped_error_rate(CLIP, words, CLIP_MS) == pytest.approx(11 / 52)
    without = [word for n, word in enumerate(CLIP) if n % 5]
    assert looped_error_rate(CLIP, without, CLIP_MS) == pytest.approx(11 / 52, abs=0.06)


def test_silence_is_no_transcript() -> None:
    assert looped_error_rate(CLIP, [], CLIP_MS) > 0.8
    assert looped_error_rate(CLIP, CLIP, 3 * CLIP_MS) > 0.5


def test_captions_say_what_is_wrong_with_them() -> None:
    assert Captions("en", "and Mr.", 2, 0.1, 1, 2.0).problems() == []
    assert Captions("en", "and Mr.", 2, 0.2, 1, 2.0).problems() == [
        "20% of the captions' words are wrong"
    ]
    assert Captions("en", "and Mr.", 2, 0.1, 0, 2.0).problems() == [
        "the captions have words, and no cue shows them"
    ]
