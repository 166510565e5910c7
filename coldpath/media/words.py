"""Words with times, and the cues and transcripts that they make; pure.

Invariant: every word is in exactly one cue, in order, and cues do not overlap.

Upstream: what a speech model heard. Downstream: `hearing`, and WebVTT by `infra.webvtt`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.webvtt import Cue

LINE = 42
"""Characters of a line; a cue has two of them."""
LONGEST_MS = 6_000
_PAUSE_MS = 1_000
"""A silence that ends a cue."""
_SHORTEST_MS = 700


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it is said."""

    text: str
    from_ms: int
    to_ms: int


def merged(earlier: Sequence[Word], later: Sequence[Word], from_ms: int) -> list[Word]:
    """The words of two windows that both hold what was said from `from_ms` on to the end of the
    earlier one. They are joined in the widest pause of the earlier one there, so that no word is
    lost or doubled for being cut."""
    at = _widest_pause([w for w in earlier if w.to_ms >= from_ms], from_ms)
    return [
        *(w for w in earlier if w.from_ms + w.to_ms < 2 * at),
        *(w for w in later if w.from_ms + w.to_ms >= 2 * at),
    ]


def cues(words: Sequence[Word]) -> list[Cue]:
    """At most two lines each, broken at sentences and pauses."""
    groups = list(_groups(words))
    found: list[Cue] = []
    for number, group in enumerate(groups):
        start = max(group[0].from_ms, found[-1].to_ms if found else 0)
        end = max(group[-1].to_ms, start + _SHORTEST_MS)
        if number + 1 < len(groups):
            end = min(end, max(groups[number + 1][0].from_ms, start + 1))
        found.append(Cue(start, end, _lines([w.text for w in group])))
    return found


def transcript(words: Sequence[Word]) -> str:
    """Plain text, a line per sentence or pause."""
    lines: list[list[str]] = []
    last: Word | None = None
    for word in words:
        if last is None or _ends(last) or word.from_ms - last.to_ms >= _PAUSE_MS:
            lines.append([])
        lines[-1].append(word.text)
        last = word
    return "".join(" ".join(line) + "\n" for line in lines)


def _widest_pause(shared: Sequence[Word], from_ms: int) -> int:
    """The middle of the longest time without a word. A word that had begun by `from_ms` is cut in
    the later window, so the pause lies behind it."""
    before = max([from_ms, *(w.to_ms for w in shared if w.from_ms < from_ms)])
    widest, middle = -1, before
    for word in shared:
        if word.from_ms >= from_ms:
            if word.from_ms - before > widest:
                widest, middle = word.from_ms - before, (word.from_ms + before) // 2
            before = max(before, word.to_ms)
    return middle


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and _full(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _full(group: Sequence[Word], word: Word) -> bool:
    last = group[-1]
    return (
        _ends(last)
        or word.from_ms - last.to_ms >= _PAUSE_MS
        or word.to_ms - group[0].from_ms > LONGEST_MS
        or len(_lines([*(w.text for w in group), word.text])) > 2
    )


def _ends(word: Word) -> bool:
    return word.text.endswith((".", "?", "!", "。", "？", "！")) and len(word.text) > 3


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    lines = [""]
    for text in texts:
        longer = f"{lines[-1]} {text}".strip()
        if lines[-1] and len(longer) > LINE:
            lines.append(text)
        else:
            lines[-1] = longer
    return tuple(lines)
