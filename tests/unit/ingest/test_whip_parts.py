"""What viewers are told of a WHIP publisher: parts that LL-HLS allows, whatever its clocks do.

Seeded publishers, the ingest core, a programme and the segmenter together, without a network.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from hotpath.hls.events import InitNeeded
from hotpath.media.unit import AUDIO, VIDEO
from tests.support.marking import HZ, PART, RATES
from tests.support.rtp_source import MS, SECOND, SPS, WALL, Line, Source, steady

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


@pytest.mark.parametrize("fps", [12, 15, 24])
def test_every_segment_of_a_slow_camera_begins_with_a_keyframe(fps: int) -> None:
    source = Source(Line(jitter_ms=60))
    source.run(steady(fps, SECONDS))
    firsts = [part for part in source.parts() if part.part == 0]
    assert len(firsts) >= SECONDS // 2
    assert all(part.independent for part in firsts)


class Muted(Source):
    """Takes no sound for a while, and its clock does not go on meanwhile."""

    AT, FOR = 5 * SECOND, 1200 * MS

    def _take_sound(self, at: int, n: int) -> None:
        if not self.AT <= at < self.AT + self.FOR:
            super()._take_sound(at, n - self._still(at) // (20 * MS))

    def _report(self, at: int, *, sound_at: int | None = None) -> None:
        super()._report(at, sound_at=at - self._still(at))

    def _still(self, at: int) -> int:
        return self.FOR if at >= self.AT + self.FOR else 0


def test_sound_stays_with_its_picture_after_it_was_muted() -> None:
    source = Muted()
    source.run(steady(30, SECONDS))
    early = [
        unit.pts * SECOND // HZ - (unit.ingest_ns - WALL)
        for unit in source.units
        if unit.track == AUDIO and unit.ingest_ns - WALL > 10 * SECOND
    ]
    assert early
    assert max(map(abs, early)) < 5 * MS
    check(source)


class Resized(Source):
    """Sends another size from 6 s on, as a browser does when its line gets worse."""

    def _take_picture(self, at: int) -> None:
        if at >= 6 * SECOND and self.sps == SPS:
            self.sps, self._key_wanted = SPS[:3] + b"\x1e" + SPS[4:], True
        super()._take_picture(at)


def test_another_size_begins_a_discontinuity_and_costs_no_picture() -> None:
    source = Resized()
    frames = steady(30, SECONDS)
    source.run(frames)
    needed = [e for e in source.events if isinstance(e, InitNeeded) and e.format.track == VIDEO]
    assert [each.number for each in needed] == [0, 1]
    parts = source.parts()
    assert sum(len(part.units) for part in parts) >= len(frames) - 15
    second = next(part for part in parts if part.discontinuity_seq == 1)
    assert (second.part, second.init, second.independent) == (0, 1, True)


@pytest.mark.parametrize("away_s", [0.5, 1.5, 5])
def test_a_camera_that_pauses_while_the_sound_goes_on_is_no_discontinuity(away_s: float) -> None:
    source = Source()
    source.run([at for at in steady(30, SECONDS) if not 4 <= at / SECOND < 4 + away_s])
    parts = source.parts()
    assert {part.discontinuity_seq for part in parts} == {0}
    newest = parts[-1].units[-1]
    assert abs(newest.ingest_ns - parts[-1].pdt_ns) < SECOND
    for part, following in pairwise(parts):
        assert part.duration <= PART * HZ
        assert part.duration >= 0.85 * PART * HZ or following.msn != part.msn
