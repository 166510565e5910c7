"""How far a transcript is from what was said."""

from collections.abc import Sequence

from infra.demo.heard import words_of as spoken

__all__ = ["spoken", "word_error_rate"]


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Words put in, left out and replaced, for each word that was said."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        above, row = row, [number]
        for at, other in enumerate(heard, 1):
            row.append(min(above[at] + 1, row[-1] + 1, above[at - 1] + (word != other)))
    return row[-1] / len(said)
