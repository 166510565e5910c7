"""The windows in which a programme is heard, and the transcript that they make; pure.

Invariant: which segments a window hears and what it is called follow from the numbers of the
segments that are there, so what was heard while the programme was live is found again when it is
over. Joined, the windows hold every word once and in order, and each belongs to one run.

Windows are blocks of `SEGMENTS` segments of sound. Each also hears the `CONTEXT` segments before
it, so that no word is cut: at the end the words of two windows are joined where both hear well;
live, where one cannot wait for the next, each says what lies between two cuts (`listening.cut`)
that its neighbours find at the same places.

Windows in a row that nobody heard live are heard at once, as many as the model takes (`together`):
it works for as long on a few seconds as on half a minute. Each is stored as if it had been heard
alone. Which are heard at once follows from the recording and from what is stored.

Upstream: what is in the bucket. Downstream: the captions functions.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

from coldpath.media.words import Word, cues, merged
from infra.events.captions import HeardCue
from infra.keys import ProgramKey, WorkKey

KIND = "captions"
SEGMENTS = 4
"""Of a window: 8 s at the usual segment of 2 s."""
CONTEXT = 2
LONGEST_S = 30
"""Sound that a Whisper model takes at once is shorter than this."""
_VERSION = 2
"""Goes up when the same sound would be heard in another way."""


def closes(msn: int) -> bool:
    """Whether the segment is the last one of its window."""
    return msn % SEGMENTS == SEGMENTS - 1


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the sound of one incarnation."""

    program: ProgramKey
    incarnation: str
    number: int
    msns: tuple[int, ...]
    """Those of its segments that are there, in order; those before it that it hears, too."""

    @property
    def first(self) -> int:
        """The first number that is its own."""
        return self.number * SEGMENTS

    @property
    def heard_live(self) -> bool:
        """Whether it has the segment that starts a job for it while the programme is live."""
        return closes(self.msns[-1])

    def key(self, voice: str) -> WorkKey:
        """Of what is heard; `voice` names the model and its settings."""
        said = json.dumps([_VERSION, voice, self.msns])
        digest = hashlib.sha256(said.encode()).hexdigest()[:16]
        return WorkKey(self.program, self.incarnation, KIND, f"w{self.number}-{digest}.json")


def wanted(number: int) -> range:
    """Numbers of the segments that a window hears, if they are there."""
    return range(max(0, number * SEGMENTS - CONTEXT), (number + 1) * SEGMENTS)


def windows(program: ProgramKey, incarnation: str, msns: Iterable[int]) -> list[Window]:
    """All of an incarnation of which these segments of sound are there."""
    there = set(msns)
    numbers = sorted({msn // SEGMENTS for msn in there})
    return [
        Window(program, incarnation, n, tuple(msn for msn in wanted(n) if msn in there))
        for n in numbers
    ]


def together(
    windows: Iterable[Window], heard: Collection[int], seconds: Mapping[int, Fraction]
) -> list[list[Window]]:
    """The windows that are not heard yet, by which are to be heard at once. `heard`: their numbers;
    `seconds`: how long each segment is.

    Of several in a row nobody is hearing one just now. One that is alone may be, by its own job, so
    it is heard as that would hear it: whoever is first, the words are the same.
    """
    left = [window for window in windows if window.number not in heard]
    found: list[list[Window]] = []
    while left:
        count = _at_once(left, seconds)
        found.append(left[:count])
        left = left[count:]
    return found


def _at_once(left: Sequence[Window], seconds: Mapping[int, Fraction]) -> int:
    """How many of these, from the first on. What comes before them has no say, so whoever goes on
    later finds the same."""
    count = 1
    while (
        count < len(left)
        and left[count].number == left[count - 1].number + 1
        and _seconds(left[: count + 1], seconds) < LONGEST_S
    ):
        count += 1
    return count if sum(window.heard_live for window in left[:count]) > 1 else 1


def _seconds(row: Iterable[Window], seconds: Mapping[int, Fraction]) -> Fraction:
    msns = {msn for window in row for msn in window.msns}
    return sum((seconds[msn] for msn in msns), Fraction(0))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound without a break, and the words in it. All times are media time: milliseconds from the
    programme's tick 0."""

    from_ms: int
    to_ms: int
    words: tuple[Word, ...]

    def within(self, from_ms: int, to_ms: int) -> "Stretch | None":
        """The part of it that lies there; a word is where its middle is. What reaches over an end
        of the whole stays."""
        start, end = max(self.from_ms, from_ms), min(self.to_ms, to_ms)
        if start >= end:
            return None
        words = tuple(
            word
            for word in self.words
            if (start == self.from_ms or word.from_ms + word.to_ms >= 2 * start)
            and (end == self.to_ms or word.from_ms + word.to_ms < 2 * end)
        )
        return Stretch(start, end, words)


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a window heard. Times are media time."""

    language: str
    """RFC 5646; empty when nobody speaks."""
    from_ms: int
    to_ms: int
    """Its own part, from cut to cut."""
    stretches: tuple[Stretch, ...]

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> "Hearing":
        """Of what `to_json` wrote."""
        said = json.loads(raw)
        stretches = tuple(
            Stretch(s["from_ms"], s["to_ms"], tuple(Word(**word) for word in s["words"]))
            for s in said["stretches"]
        )
        return cls(said["language"], said["from_ms"], said["to_ms"], stretches)

    def parts(self) -> Iterator["Hearing"]:
        """Its own part, without the time between stretches."""
        for stretch in self.stretches:
            start, end = max(self.from_ms, stretch.from_ms), min(self.to_ms, stretch.to_ms)
            if start < end:
                yield replace(self, from_ms=start, to_ms=end, stretches=(stretch,))

    def cues(self, epoch_ms: int) -> tuple[HeardCue, ...]:
        """Of its own part, by the wall clock; `epoch_ms`: Unix ms of tick 0."""
        own = [
            word
            for stretch in self.stretches
            for word in stretch.words
            if self.from_ms <= (word.from_ms + word.to_ms) // 2 < self.to_ms
        ]
        found = (
            (max(cue.from_ms, self.from_ms), min(cue.to_ms, self.to_ms), cue.lines)
            for cue in cues(own)
        )
        return tuple(
            HeardCue(epoch_ms + start, epoch_ms + end, "\n".join(lines))
            for start, end, lines in found
            if start < end
        )


def joined(hearings: Iterable[Hearing]) -> list[Word]:
    """The words of an incarnation; its windows in order."""
    found: list[Word] = []
    for hearing in hearings:
        for stretch in hearing.stretches:
            # Only what both hear is looked at, or an hour would take minutes.
            at = len(found)
            while at and found[at - 1].to_ms >= stretch.from_ms:
                at -= 1
            found[at:] = merged(found[at:], stretch.words, stretch.from_ms)
    return found


def by_run(words: Iterable[Word], starts: Sequence[int]) -> list[list[Word]]:
    """The words of each run, from its start; `starts`: media time, rising. What is said before the
    first run is of the first."""
    found: list[list[Word]] = [[] for _ in starts]
    for word in words:
        run = max(0, bisect_right(starts, (word.from_ms + word.to_ms) // 2) - 1)
        from_ms = max(0, word.from_ms - starts[run])
        moved = replace(word, from_ms=from_ms, to_ms=max(from_ms, word.to_ms - starts[run]))
        found[run].append(moved)
    return found


def in_ms(seconds: Fraction) -> int:
    """Media time as everything here counts it."""
    return round(seconds * 1000)


def spoken(hearings: Iterable[Hearing]) -> str:
    """The language in which most is said; empty where nobody speaks."""
    counts: dict[str, int] = {}
    for hearing in hearings:
        words = sum(len(stretch.words) for stretch in hearing.stretches)
        if words:
            counts[hearing.language] = counts.get(hearing.language, 0) + words
    return max(counts, key=lambda language: counts[language], default="")
