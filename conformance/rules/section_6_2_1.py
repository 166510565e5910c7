"""6.2.1: what every server does."""

from collections.abc import Iterator

from conformance.lines import date_s
from conformance.observation import Observation, Track
from conformance.playlist import MediaPlaylist, Segment
from conformance.rule import Case, bad, case, good, must, no_matter, should
from conformance.rules.section_4_4_5 import date_ranges

SOON_S = 1.0
"""A file that is there begins to come within this and the round trip."""
SLACK_S = 0.1
"""Of a cadence that is seen over a network; the observer's own delay comes on top."""
OVERLAP_S = 1.0


def _at_once(seen: Observation, kind: str) -> Iterator[Case]:
    for track in seen.tracks:
        for one in track.media(kind):
            soon = one.exchange.head_s - one.exchange.asked_s < SOON_S + seen.lag_s
            kept = one.exchange.status in (200, 206) and soon
            yield case(kept, f"{track.name}: {one.exchange.outcome}")


@must("6.2.1-segment-available", "a segment can be fetched at once when it is listed")
def segment_available(seen: Observation) -> Iterator[Case]:
    yield from _at_once(seen, "segment")


@must("6.2.1-part-available", "a part can be fetched at once when it is listed")
def part_available(seen: Observation) -> Iterator[Case]:
    yield from _at_once(seen, "part")


@must("6.2.1-init-available", "an initialization section can be fetched when it is listed")
def init_available(seen: Observation) -> Iterator[Case]:
    yield from _at_once(seen, "init")


@should("6.2.1-full-speed", "a segment that has begun to come is not held up")
def full_speed(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        lengths = {msn: segment.length for msn, segment in track.segments.items()}
        for one in track.media("segment"):
            took = one.exchange.done_s - one.exchange.first_s
            if one.exchange.status == 200 and lengths.get(one.msn):
                words = f"{track.name} {one.uri}: {one.exchange.size} bytes took {took:.2f} s"
                yield case(took < max(0.5 * lengths[one.msn], 0.2), words)


@should("6.2.1-keyframes", "segments begin with an independent frame")
def keyframes(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one in track.media("segment"):
            if one.runs:
                kept = all(run.first_sync for run in one.runs)
                yield case(kept, f"{track.name}: first sample of {one.uri}")


@should("6.2.1-gzip", "playlists come with gzip to who accepts it")
def gzip(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for version in track.versions:
            coding = version.exchange.header("content-encoding")
            yield case(coding == "gzip", f"{track.name}: content-encoding {coding}")


def _changed(before: MediaPlaylist, after: MediaPlaylist) -> Iterator[str]:
    """What an update changed that may not change."""
    for name in ("target_duration", "part_target", "control", "type", "independent", "version"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield f"{name} was {old} and became {new}"
    known = {segment.msn: segment for segment in before.all_segments}
    for segment in after.all_segments:
        old_segment = known.get(segment.msn)
        if old_segment is not None and (why := _segment_changed(old_segment, segment)):
            yield f"segment {segment.msn}: {why}"


def _segment_changed(before: Segment, after: Segment) -> str:
    if before.uri is not None:
        for name in ("uri", "duration", "gap", "byterange"):
            old, new = getattr(before, name), getattr(after, name)
            if old != new:
                return f"{name} was {old} and became {new}"
    for name in ("map", "key", "date", "discontinuity"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            return f"{name} was {old} and became {new}"
    fewer = min(len(before.parts), len(after.parts))
    if before.parts[:fewer] != after.parts[:fewer]:
        return "a listed part changed"
    if len(after.parts) < len(before.parts) and after.parts:
        return f"{len(before.parts) - len(after.parts)} parts of it went alone"
    return ""


@must("6.2.1-changes", "an update appends and removes; what is listed stays as it is")
def changes(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            wrong = list(_changed(before.playlist, after.playlist))
            for words in wrong:
                yield bad(f"{track.name} at {after.exchange.done_s:.2f} s: {words}")
            if not wrong:
                yield good(f"{track.name}: nothing listed changed")


@must("6.2.1-order", "no version is older than the one before it")
def order(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            old, new = before.playlist.edge, after.playlist.edge
            yield case(new >= old, f"{track.name}: {new[0]}.{new[1]} came after {old[0]}.{old[1]}")


def _arrivals(track: Track, *, parts: bool) -> Iterator[tuple[float, float]]:
    """When a version came with something new, and how long after the one before.

    Last of all until when nothing new had come.
    """
    last: float | None = None
    newest: tuple[int, int] | None = None
    for version in track.versions:
        playlist = version.playlist
        segments = playlist.segments[-1].msn if playlist.segments else -1
        edge = playlist.edge if parts else (segments, 0)
        if newest is not None and edge > newest:
            if last is not None:
                yield version.exchange.done_s, version.exchange.done_s - last
            last = version.exchange.done_s
        newest = edge if newest is None else max(newest, edge)
        if playlist.ended:
            break
    if last is not None:
        yield _quiet_until(track), _quiet_until(track) - last


def _quiet_until(track: Track) -> float:
    """The last moment of which it is known what the playlist listed."""
    first_end = next((v.exchange.done_s for v in track.versions if v.playlist.ended), None)
    if first_end is not None:
        return first_end
    refused = [probe.exchange.done_s for probe in track.probed("reload")]
    return max([*refused, *(version.exchange.done_s for version in track.versions[-1:])])


@must("6.2.1-new-segment", "a new segment comes within 1.5 target durations of the last")
def new_segment(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        most = 1.5 * (last.target_duration or 0)
        for at, gap in _arrivals(track, parts=False):
            words = f"{track.name} at {at:.2f} s: {gap:.2f} s after the last, most {most:g} s"
            yield case(gap <= most + SLACK_S + seen.lag_s, words)


@must("6.2.1-new-part", "a new part comes within one part target of the last")
def new_part(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if last.part_target is None:
            yield no_matter("there are no parts")
            continue
        room = max(SLACK_S, last.part_target / 2) + seen.lag_s
        for at, gap in _arrivals(track, parts=True):
            words = f"{track.name} at {at:.2f} s: {gap:.3f} s after the last"
            yield case(gap <= last.part_target + room, f"{words}, target {last.part_target:g} s")


@should("6.2.1-dated-discontinuity", "segments behind a discontinuity have a date, if any has")
def dated_discontinuity(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        segments = track.segments.values()
        if any(segment.date is not None for segment in segments):
            for segment in segments:
                if segment.starts_discontinuity:
                    yield case(segment.date is not None, f"{track.name} {segment.msn}")


@must("6.2.1-dates", "a date belongs to one segment: dates do not run backwards")
def dates(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        end: float | None = None
        for _, segment in sorted(track.segments.items()):
            if segment.date is None:
                end = None if end is None else end + segment.length
                continue
            if end is not None:
                over = end - segment.date
                words = f"{track.name} {segment.msn}: begins {over:.3f} s before the last one ends"
                yield case(over < min(OVERLAP_S, segment.length), words)
            end = segment.date + segment.length


@must("6.2.1-daterange-stays", "a date range stays while a listed segment is in it")
def date_range_stays(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            kept = {date.quoted("ID") for date in after.playlist.dates}
            dated = after.playlist.dated()
            if not dated or after.playlist.skipped is not None:
                continue
            begin, end = dated[0][1], dated[-1][1] + dated[-1][0].length
            for date in before.playlist.dates:
                start = date_s(date.quoted("START-DATE"))
                if start is None:
                    continue
                stop = date_s(date.quoted("END-DATE")) or start + (date.decimal("DURATION") or 0)
                if start < end and stop >= begin:
                    words = f"{track.name} at {after.exchange.done_s:.2f} s: {date.quoted('ID')}"
                    yield case(date.quoted("ID") in kept, f"{words} is still in the playlist")


@must("6.2.1-daterange-id", "the ID of a date range is not used for another one")
def date_range_id(seen: Observation) -> Iterator[Case]:
    starts: dict[str, str] = {}
    for track, date in date_ranges(seen):
        start = date.quoted("START-DATE")
        if start is not None:
            first = starts.setdefault(date.quoted("ID") or "", start)
            words = f"{track.name}: {date.quoted('ID')} begins at {start} and at {first}"
            yield case(first == start, words)


@must("6.2.1-gap", "listed media that is not there is marked EXT-X-GAP or GAP=YES")
def gaps(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one in track.media("part", "segment"):
            kept = one.exchange.status not in (404, 410)
            yield case(kept, f"{track.name}: {one.exchange.outcome}, and it is no gap")
