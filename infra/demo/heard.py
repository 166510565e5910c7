"""The event's captions, held against what was said: the clip that the encoder sends in a loop.

Invariant: what counts are words that were spoken, in their order and number, whatever their case
and punctuation. Upstream: `run`, after the archive is there. Downstream: `report`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from infra.demo.errors import DemoError

WORST = 0.15
"""Words wrong, of those that were said."""
CLIP_MS = 18_700
_README = Path(__file__).parent / "speech" / "README.txt"
_EDGE = 8
"""Words by which the end may be reckoned wrong: nobody speaks evenly."""


@dataclass(frozen=True, slots=True)
class Captions:
    """What is told of an event's words."""

    language: str
    text: str
    words: int
    word_error_rate: float
    cues: int
    seconds_after_end: float

    def problems(self) -> list[str]:
        found = []
        if self.word_error_rate >= WORST:
            found.append(f"{self.word_error_rate:.0%} of the captions' words are wrong")
        if not self.cues:
            found.append("the captions have words, and no cue shows them")
        return found


def words_of(text: str) -> list[str]:
    """Words without case and punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def said() -> list[str]:
    """The words of one turn of the clip."""
    return words_of(_README.read_text(encoding="utf-8").split("What is said\n")[1].split("\n\n")[0])


def word_error_rate(clip: Sequence[str], heard: Sequence[str], duration_ms: int) -> float:
    """Words put in, left out and replaced, for each that was said in so long. The programme ends in
    the middle of the clip, so where exactly is taken from what was heard."""
    count = max(1, round(len(clip) * duration_ms / CLIP_MS))
    looped = [clip[n % len(clip)] for n in range(count + _EDGE)]
    row = list(range(len(looped) + 1))
    for number, word in enumerate(heard, 1):
        above, row = row, [number]
        for at, other in enumerate(looped, 1):
            row.append(min(above[at] + 1, row[-1] + 1, above[at - 1] + (word != other)))
    return min(row[max(0, count - _EDGE) :]) / count


async def read_captions(
    assets: Sequence[dict[str, Any]], duration_ms: int, seconds_after_end: float
) -> Captions:
    """The captions among the event's assets. Raises `DemoError` where there are none."""
    urls = {asset["kind"]: asset["url"] for asset in assets}
    if missing := {"captions", "words"} - urls.keys():
        raise DemoError(f"the event lists no {' and no '.join(sorted(missing))} among its assets")
    async with httpx2.AsyncClient(timeout=30.0, trust_env=False) as client:
        cues = (await client.get(urls["captions"])).text.count(" --> ")
        found = (await client.get(urls["words"])).json()
    text = " ".join(word["text"] for word in found["words"])
    rate = word_error_rate(said(), words_of(text), duration_ms)
    count = len(found["words"])
    return Captions(found["language"], text, count, round(rate, 3), cues, seconds_after_end)
