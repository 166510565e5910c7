"""Which key pictures of a recording are looked at, and when a player shows them; pure.

Invariant: times are milliseconds of the VOD presentation, as a player of the source's picture
counts them: gaps between runs are left out, a segment that was not recorded keeps its time. They
rise from shot to shot, and a recording of any length has at most `MOST` of them on a grid.

Upstream: `recording`. Downstream: `keyframes` decodes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from coldpath.media.recording import Recording, Rendition, Run, Segment

Item = TypeVar("Item")

MOST = 300
_STEPS_MS = (2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000)


@dataclass(frozen=True, slots=True)
class Shot:
    """A segment that begins with a keyframe."""

    at_ms: int
    segment: Segment


def length_ms(recording: Recording) -> int:
    """How long the presentation of the picture is."""
    return round(sum((seconds for _, _, seconds in _played(recording)), Fraction(0)) * 1000)


def step_ms(length: int) -> int:
    """The distance of shots over so many milliseconds."""
    fitting = (step for step in _STEPS_MS if length <= step * MOST)
    return next(fitting, -(-length // MOST))


def shots(recording: Recording, *, lines: int, step: int = 1) -> list[Shot]:
    """The first shot in each `step` milliseconds, from the smallest picture of `lines` or more;
    where there is none of these, from the source."""
    found: list[Shot] = []
    cell = -1
    ranked = _ranked(recording, lines)
    at = Fraction(0)
    for run, msn, seconds in _played(recording):
        at_ms = round(at * 1000)
        segment = _first_independent(run, msn, ranked)
        if segment is not None and at_ms // step > cell:
            cell = at_ms // step
            found.append(Shot(at_ms, segment))
        at += seconds
    return found


def spread(found: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of these, evenly over all of them."""
    taken = min(count, len(found))
    return [found[(2 * n + 1) * len(found) // (2 * taken)] for n in range(taken)]


def _played(recording: Recording) -> Iterator[tuple[Run, int, Fraction]]:
    """Every entry of the source's playlist, with its seconds."""
    source = recording.first("video")
    for run in recording.runs:
        for msn in run.msns:
            own = run.segments.get(source.name, {}).get(msn) if source else None
            if source is not None and own is not None:
                yield run, msn, Fraction(own.entry.duration, source.timescale)
            else:
                yield run, msn, _longest(recording, run, msn)


def _longest(recording: Recording, run: Run, msn: int) -> Fraction:
    return max(
        Fraction(found[msn].entry.duration, rendition.timescale)
        for rendition in recording.renditions
        if msn in (found := run.segments.get(rendition.name, {}))
    )


def _ranked(recording: Recording, lines: int) -> list[Rendition]:
    """Pictures in the order in which they are taken."""
    source = recording.first("video")
    video = sorted((r for r in recording.renditions if r.kind == "video"), key=lambda r: r.height)
    tall = [r for r in video if min(r.width, r.height) >= lines]
    return list(dict.fromkeys([*tall, *([source] if source else [])]))


def _first_independent(run: Run, msn: int, ranked: Sequence[Rendition]) -> Segment | None:
    for rendition in ranked:
        segment = run.segments.get(rendition.name, {}).get(msn)
        if segment is not None and segment.entry.independent:
            return segment
    return None
