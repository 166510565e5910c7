"""A stretch of a recording, by the wall clock; pure.

Invariant: what `within` keeps of a run are whole segments without a break, beginning with one that
starts with a keyframe, that show every moment of the window that was recorded in that run.

Times are Unix nanoseconds. `on_the_wall` turns seconds as a player of the VOD playlist counts them,
gaps left out, into such a time.

Upstream: `recording`. Downstream: `cut`, and playlists of instant clips.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from coldpath.media.recording import Recording, Rendition, Run, Segment

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """From `start_ns` to before `end_ns`."""

    start_ns: int
    end_ns: int


def within(recording: Recording, window: Window, *, beyond: int = 0) -> Recording:
    """The segments of the recording that show the window, and `beyond` further ones of each run."""
    runs = [_within(recording, run, window, beyond) for run in recording.runs]
    kept = [run for run in runs if run is not None]
    named = {name for run in kept for name, found in run.segments.items() if found}
    renditions = tuple(r for r in recording.renditions if r.name in named)
    return replace(recording, renditions=renditions, runs=tuple(kept))


def began_ns(recording: Recording) -> int | None:
    """When the first picture or sound was recorded; None: there is none."""
    starts = [lead[0].entry.pdt_ns for run in recording.runs if (lead := _lead(recording, run)[1])]
    return min(starts, default=None)


def reached_ns(recording: Recording) -> int | None:
    """Up to when there is media; None: there is none."""
    ends = [
        _end_ns(lead[-1], rendition)
        for run in recording.runs
        for rendition, lead in [_lead(recording, run)]
        if lead
    ]
    return max(ends, default=None)


def on_the_wall(recording: Recording, seconds: Fraction) -> int | None:
    """The wall clock where a player of the recording is `seconds` from its start; None: behind the
    end."""
    passed = Fraction(0)
    for run in recording.runs:
        rendition, lead = _lead(recording, run)
        for segment in lead:
            lasts = Fraction(segment.entry.duration, rendition.timescale)
            if seconds < passed + lasts:
                return segment.entry.pdt_ns + round((seconds - passed) * NS)
            passed += lasts
    # The end itself is the end of a clip, not a start.
    return reached_ns(recording) if seconds == passed else None


def leading(recording: Recording) -> Rendition:
    """The rendition whose segments decide: the source's picture, else its sound."""
    found = recording.first("video") or recording.first("audio")
    if found is None:
        raise ValueError("the recording has no renditions")
    return found


def _within(recording: Recording, run: Run, window: Window, beyond: int) -> Run | None:
    rendition, lead = _lead(recording, run)
    shown = [
        n
        for n, segment in enumerate(lead)
        if segment.entry.pdt_ns < window.end_ns and _end_ns(segment, rendition) > window.start_ns
    ]
    if not shown:
        return None
    first = shown[0]
    while first and not lead[first].entry.independent:
        first -= 1
    last = min(shown[-1] + beyond, len(lead) - 1)
    msns = [m for m in run.msns if lead[first].entry.msn <= m <= lead[last].entry.msn]
    segments = {
        name: {msn: found[msn] for msn in msns if msn in found}
        for name, found in run.segments.items()
    }
    return replace(run, msns=msns, segments={n: found for n, found in segments.items() if found})


def _lead(recording: Recording, run: Run) -> tuple[Rendition, list[Segment]]:
    """The run's segments of the rendition that decides there."""
    candidates = [recording.first("video"), recording.first("audio"), *recording.renditions]
    for rendition in candidates:
        if rendition is not None and (found := run.of(rendition.name)):
            return rendition, found
    return leading(recording), []


def _end_ns(segment: Segment, rendition: Rendition) -> int:
    return segment.entry.pdt_ns + segment.entry.duration * NS // rendition.timescale
