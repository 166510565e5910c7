"""4.4.4: media segments and parts, as they are listed and as their bytes are."""

from collections.abc import Iterator
from itertools import pairwise

from conformance.observation import Fetched, Observation, Track
from conformance.playlist import Part, Segment
from conformance.rule import Case, Level, bad, case, must, no_matter, should
from conformance.rules.flaws import free_of
from conformance.rules.section_4_4_3 import TINY

SHORTEST = 0.85
DRIFT_S = 0.02  # between a listed duration and that of the samples; a frame at 50 Hz
SMALLEST_FRAME_S = 0.045  # the last sample's duration is often a guess: a frame at 24 Hz

kinds = free_of("4.4.4", "media tags and multivariant tags are not in the other's playlist")
extinf = free_of("4.4.4.1", "every segment has an EXTINF with a duration")
key = free_of(
    "4.4.4.4",
    "EXT-X-KEY has a METHOD, and a URI unless that is NONE",
    where=lambda playlist: any(one.key for one in playlist.segments),
)
map_uri = free_of(
    "4.4.4.5",
    "EXT-X-MAP has a URI",
    where=lambda playlist: any(one.map for one in playlist.segments),
)
date = free_of(
    "4.4.4.6",
    "EXT-X-PROGRAM-DATE-TIME is an ISO 8601 date",
    where=lambda playlist: any(one.date is not None for one in playlist.segments),
)
date_zone = free_of(
    "4.4.4.6-zone",
    "dates have a time zone and milliseconds",
    level=Level.SHOULD,
    where=lambda playlist: any(one.date is not None for one in playlist.segments),
)
parts = free_of(
    "4.4.4.9",
    "EXT-X-PART has URI and DURATION, and follows its segment's tags",
    where=lambda playlist: any(True for _ in playlist.parts),
)


def _listed(track: Track) -> Iterator[tuple[Segment, int, Part]]:
    """Every part that was ever listed, once, with its segment as it was listed last."""
    seen: dict[str, tuple[Segment, int, Part]] = {}
    for version in track.versions:
        for segment, index, part in version.playlist.parts:
            seen[part.uri + (part.byterange or "")] = (segment, index, part)
    yield from seen.values()


@must("4.4.4.5-map", "fMP4 segments have an EXT-X-MAP")
def map_there(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for segment in track.segments.values():
            uri = (segment.uri or "").partition("?")[0]
            if uri.endswith((".ts", ".aac", ".mp3", ".vtt")):
                yield no_matter("the segments are not fMP4")
            elif not segment.gap:
                yield case(segment.map is not None, f"{track.name} {segment.msn}: {segment.map}")


@must("4.4.4.9-longest", "a part is at most as long as the part target")
def longest(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        for segment, index, part in _listed(track):
            most = last.part_target or 0.0
            words = f"{track.name} {segment.msn}.{index}: {part.duration:.4f} s, target {most:g}"
            yield case(part.duration <= most + 1e-6, words)


@must("4.4.4.9-shortest", "a part lasts 85 % of the part target, with the draft's exceptions")
def shortest(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        least = SHORTEST * (last.part_target or 0.0)
        for segment, index, part in _listed(track):
            following = segment.parts[index + 1 : index + 2]
            excused = part.independent or part.gap or any(one.gap for one in following)
            if excused or not following:
                continue
            words = f"{track.name} {segment.msn}.{index}: {part.duration:.4f} s, least {least:.4f}"
            yield case(part.duration >= least - TINY, words)


@must("4.4.4.9-sum", "the parts of a segment last as long as the segment")
def parts_sum(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for segment in track.segments.values():
            if not segment.parts:
                continue
            total = sum(part.duration for part in segment.parts)
            words = f"{track.name} {segment.msn}: parts {total:.3f} s, EXTINF {segment.length:.3f}"
            yield case(abs(total - segment.length) <= DRIFT_S, words)


def _of_part(track: Track) -> Iterator[tuple[Fetched, Part]]:
    listed = {part.uri: part for _, _, part in _listed(track) if part.byterange is None}
    for one in track.media("part", "hint"):
        if one.runs and (part := listed.get(one.uri)) is not None:
            yield one, part


@must("4.4.4.9-bytes", "DURATION of a part is that of the samples in it")
def part_bytes(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one, part in _of_part(track):
            held = max(run.duration_s for run in one.runs)
            words = f"{track.name} {one.uri}: DURATION {part.duration:.4f}, samples {held:.4f} s"
            yield case(abs(held - part.duration) <= DRIFT_S, words)


@must("4.4.4.9-independent", "INDEPENDENT=YES is said only of parts with an independent frame")
def independent_true(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one, part in _of_part(track):
            if part.independent:
                syncs = sum(run.syncs for run in one.runs)
                yield case(syncs > 0, f"{track.name} {one.uri}: {syncs} independent frames")


@should("4.4.4.9-independent-all", "every part with an independent frame says INDEPENDENT=YES")
def independent_all(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one, part in _of_part(track):
            if all(run.syncs for run in one.runs):
                yield case(part.independent, f"{track.name} {one.uri}: INDEPENDENT of {one.uri}")


@must("3.2", "a segment and its parts hold the same samples")
def same_samples(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        runs = {one.uri: one.runs for one in track.media("part", "hint") if one.runs}
        whole = {one.msn: one.runs for one in track.media("segment") if one.runs}
        for msn, segment in track.segments.items():
            found = [runs.get(part.uri) for part in segment.parts if not part.gap]
            if msn not in whole or not found or any(one is None for one in found):
                continue
            apart = sum(run.samples for one in found for run in one or ())
            together = sum(run.samples for run in whole[msn])
            words = f"{track.name} {msn}: {apart} samples in parts, {together} in the segment"
            yield case(apart == together, words)


@should("4.4.4.1-exact", "EXTINF is exact enough that durations can be added up")
def extinf_exact(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        listed = track.segments
        for one in track.media("segment"):
            if not one.runs or one.msn not in listed:
                continue
            held = max(run.duration_s for run in one.runs) + listed[one.msn].absent
            words = f"{track.name} {one.msn}: EXTINF {listed[one.msn].length:.3f}, {held:.3f} s"
            yield case(abs(held - listed[one.msn].length) <= DRIFT_S, words)


def _neighbours(track: Track) -> Iterator[tuple[Segment, Fetched, Segment, Fetched]]:
    """Segments that follow each other and of which the bytes were read."""
    listed = track.segments
    read = {one.msn: one for one in track.media("segment") if one.runs}
    for before, after in pairwise(sorted(read)):
        if after == before + 1 and before in listed and after in listed:
            yield listed[before], read[before], listed[after], read[after]


@must("4.4.4.3-time", "where timestamps do not go on, there is an EXT-X-DISCONTINUITY")
def discontinuity_time(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, first, listed, then in _neighbours(track):
            if listed.starts_discontinuity:
                continue
            starts = {run.track: run.start_s - listed.absent_first for run in then.runs}
            for run in first.runs:
                begin = run.start_s - before.absent_first
                jump = starts.get(run.track, begin) - begin - run.duration_s - before.absent
                words = f"{track.name} {listed.msn}: timestamps jump by {jump * 1000:.0f} ms"
                yield case(abs(jump) <= SMALLEST_FRAME_S, words)


@must("4.4.4.3-tracks", "where format or tracks change, there is an EXT-X-DISCONTINUITY")
def discontinuity_tracks(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        inits = track.inits
        ordered = [segment for _, segment in sorted(track.segments.items())]
        for before, after in pairwise(ordered):
            if after.msn != before.msn + 1 or before.map == after.map:
                continue
            old, new = inits.get(before.map or ""), inits.get(after.map or "")
            if old is None or new is None:
                continue
            shape = [(one.id, one.handler, one.entry, one.description) for one in old.tracks]
            same = shape == [
                (one.id, one.handler, one.entry, one.description) for one in new.tracks
            ]
            words = f"{track.name} {after.msn}: {before.map} became {after.map}"
            yield case(same or after.starts_discontinuity, words)


@must("4.4.4-readable", "listed media can be read: fMP4 boxes with the samples' times")
def readable(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one in track.media("part", "hint", "segment", "init"):
            if one.exchange.status != 200:
                continue
            if one.unreadable:
                yield bad(f"{track.name} {one.uri}: {one.unreadable}")
            elif one.runs or one.init is not None:
                yield case(True, f"{track.name} {one.uri}: {one.exchange.size} bytes")
