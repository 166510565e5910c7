"""How far what was heard is from what was said; pure.

Invariant: what counts are words, in their order and number, whatever their case and punctuation.
"""

import re
from collections.abc import Sequence


def words_of(text: str) -> list[str]:
    """Words without case and punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def edits(said: Sequence[str], heard: Sequence[str]) -> list[int]:
    """For the first 0, 1, 2 ... words of `said`: how many words less, more and other were heard."""
    row = list(range(len(said) + 1))
    for number, word in enumerate(heard, 1):
        above, row = row, [number]
        for at, other in enumerate(said, 1):
            row.append(min(above[at] + 1, row[-1] + 1, above[at - 1] + (word != other)))
    return row


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Words put in, left out and replaced, for each word that was said."""
    return edits(said, heard)[-1] / len(said)
