"""Counts of dropped and repaired units, turned into warnings that a creator can act on.

Invariant: a code is told when it first occurs and then at most once per `REPEAT_NS`, with how often
it happened since. Pure: fed by `hotpath.program.service`.
"""

from collections import Counter
from collections.abc import Mapping

from hotpath.program.states import IngestWarning

REPEAT_NS = 60 * 1_000_000_000

_WORDS = {
    "segment-without-keyframe": "Keyframes are too far apart ({count} segments had to start "
    "without one): set the keyframe interval to 1 or 2 s.",
    "damaged": "{count} frames arrived damaged and were left out up to the next keyframe: raise "
    "the SRT latency or lower the bitrate.",
    "clock-jumps": "The timestamps jumped {count} times; each jump is a discontinuity for viewers.",
    "timestamp-moved": "{count} frames had timestamps that did not rise and were moved.",
    "audio-resync": "Audio frames were missing {count} times; the sound was set right again.",
    "audio-overlap": "{count} audio frames came too early and were left out: the audio clock runs "
    "fast.",
    "other-clock": "{count} audio frames had timestamps far from the picture's and were left out.",
    "slates": "The source was gone or sent nothing {count} times: viewers saw its last picture "
    "until it was back.",
    "silent-segments": "{count} segments had no picture to end with: the source sent none in time.",
    "backlog-dropped": "{count} frames were left out while the programme could not be opened.",
}


class Complaints:
    """Which counts were told when."""

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        self._told_at: dict[str, int] = {}

    def poll(self, counts: Mapping[str, int], now: int) -> list[IngestWarning]:
        """Warnings that are due; `counts` only ever rise."""
        due: list[IngestWarning] = []
        for code, words in _WORDS.items():
            new = counts.get(code, 0) - self._told[code]
            at = self._told_at.get(code)
            if new <= 0 or (at is not None and now - at < REPEAT_NS):
                continue
            self._told[code] += new
            self._told_at[code] = now
            due.append(IngestWarning(code, words.format(count=new)))
        return due
