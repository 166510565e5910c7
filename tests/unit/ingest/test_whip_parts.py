"""What viewers are told of a WHIP publisher: parts that LL-HLS allows, whatever its clocks do.

Seeded publishers, the ingest core, a programme and the segmenter together, without a network.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from tests.support.marking import HZ, PART, RATES
from tests.support.rtp_source import MS, SECOND, Line, Source, steady

SECONDS = 12
LINES = {
    "clean": Line(),
    "jitter": Line(jitter_ms=60),
    "reordered": Line(jitter_ms=40, reorders=True),
    "lossy": Line(loss=0.03, jitter_ms=20, reorders=True),
    "fast": Line(ppm=100),
    "slow": Line(ppm=-100),
    "vague-reports": Line(report_off_ms=25),
    "late-sound": Line(late_sound_ms=150),
    "late-report": Line(late_sound_ms=150, first_report_s=6),
}


def dusk(chance: Random, at: int) -> float:
    """A camera that slows down in the dark: 30 frames a second, then 12, then 30 again."""
    return SECOND / (12 if 3 * SECOND < at < 8 * SECOND else 30)


CAMERAS: dict[str, Callable[[Random, int], float]] = {
    "dusk": dusk,
    "7.5": lambda chance, at: SECOND / 7.5,
    "stamped-late": lambda chance, at: SECOND / 30 + chance.uniform(-12, 12) * MS,
    "overloaded": lambda chance, at: SECOND / 30 * chance.choice((1, 1, 1, 2, 3)),
    "any": lambda chance, at: chance.uniform(15, 150) * MS,
}


def camera(name: str) -> list[int]:
    chance, frames, at = Random(7), list[int](), 0.0
    while at < SECONDS * SECOND:
        frames.append(int(at))
        at += CAMERAS[name](chance, frames[-1])
    return frames


def check(source: Source) -> None:
    parts = source.parts()
    assert len(parts) > SECONDS * 4
    for part, following in pairwise(parts):
        seconds = part.duration / HZ
        assert seconds <= PART + 1e-9
        assert seconds >= 0.85 * PART or following.msn != part.msn, (part.msn, part.part)
        assert part.start + part.duration == following.start


@pytest.mark.parametrize("fps", RATES.values(), ids=RATES.keys())
@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_parts_are_legal_at_every_rate_on_every_line(line: Line, fps: Fraction) -> None:
    source = Source(line)
    source.run(steady(fps, SECONDS))
    check(source)


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("line", ["clean", "lossy", "late-sound"])
def test_parts_are_legal_when_frames_come_at_uneven_times(name: str, line: str) -> None:
    source = Source(LINES[line])
    frames = camera(name)
    source.run(frames)
    check(source)
    if line == "clean":
        shown = sum(len(part.units) for part in source.parts())
        assert shown >= len(frames) - 20
