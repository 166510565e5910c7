"""The event's captions, held against what was said: the clip that the encoder sends in a loop.

Upstream: `run`, after the archive is there, and `words`. Downstream: `report`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from infra.demo.errors import DemoError
from infra.demo.words import edits, words_of

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


def said() -> list[str]:
    """The words of one turn of the clip."""
    return words_of(_README.read_text(encoding="utf-8").split("What is said\n")[1].split("\n\n")[0])


def looped_error_rate(clip: Sequence[str], heard: Sequence[str], duration_ms: int) -> float:
    """The word error rate of a loop that was heard for so long. The programme ends in the middle of
    the clip, so where exactly is taken from what was heard."""
    count = max(1, round(len(clip) * duration_ms / CLIP_MS))
    looped = [clip[n % len(clip)] for n in range(count + _EDGE)]
    return min(edits(looped, heard)[max(0, count - _EDGE) :]) / count


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
    rate = looped_error_rate(said(), words_of(text), duration_ms)
    count = len(found["words"])
    return Captions(found["language"], text, count, round(rate, 3), cues, seconds_after_end)
