"""6.2.5: delivery directives. The probes are named by `observe`."""

from collections.abc import Iterator

from conformance.observation import Observation, Probe, Track
from conformance.rule import Case, bad, case, good, must, no_matter, should

AT_ONCE_S = 1.0


def _blocks(track: Track) -> bool:
    return track.last is not None and track.last.control.yes("CAN-BLOCK-RELOAD")


def _probed(seen: Observation, *names: str) -> Iterator[tuple[Track, Probe]]:
    for track in seen.tracks:
        for probe in track.probed(*names):
            yield track, probe


def _words(track: Track, probe: Probe) -> str:
    msn, part = probe.edge
    return f"{track.name} at {msn}.{part}: {probe.exchange.outcome}"


@must("6.2.5.1", "_HLS_skip=YES or v2 gets an EXT-X-SKIP where CAN-SKIP-UNTIL is offered")
def delta(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "skip YES", "skip v2"):
        if probe.playlist is None:
            yield bad(_words(track, probe))
            continue
        if probe.playlist.ended:
            continue
        boundary = probe.playlist.control.decimal("CAN-SKIP-UNTIL") or 0.0
        beyond = _skippable(probe, boundary)
        if not beyond:
            continue
        skipped = probe.playlist.skipped
        yield case(skipped is not None, f"{_words(track, probe)}: {beyond} could go, {skipped} did")
    if not any("CAN-SKIP-UNTIL" in last.control for _, last in seen.lasts):
        yield no_matter("there is no CAN-SKIP-UNTIL")


def _whole_durations(probe: Probe) -> list[float]:
    """EXTINF of the whole playlist of the same position."""
    lines = [line for line in probe.beside if line.startswith("#EXTINF:")]
    found = []
    for line in lines:
        try:
            found.append(float(line[8:].partition(",")[0]))
        except ValueError:
            found.append(0.0)
    return found


def _skippable(probe: Probe, boundary: float) -> int:
    """Segments of the whole playlist that lie beyond the boundary."""
    after, kept = 0.0, 0
    durations = _whole_durations(probe)
    for duration in reversed(durations):
        if after > boundary + 0.0015:
            break
        after += duration
        kept += 1
    return len(durations) - kept


@must("6.2.5.1-boundary", "no segment within the skip boundary is skipped")
def delta_boundary(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "skip YES", "skip v2"):
        if probe.playlist is None or probe.playlist.skipped is None:
            continue
        boundary = probe.playlist.control.decimal("CAN-SKIP-UNTIL") or 0.0
        durations = _whole_durations(probe)
        left = sum(durations[probe.playlist.skipped :])
        words = f"{track.name}: {probe.playlist.skipped} of {len(durations)} skipped, "
        yield case(
            left >= min(boundary, sum(durations)) - 0.0015,
            f"{words}{left:.1f} s of {boundary:g} left",
        )


@must("6.2.5.1-rest", "everything that was not skipped stays in a delta update")
def delta_rest(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "skip YES", "skip v2"):
        if probe.playlist is None or probe.playlist.skipped is None:
            continue
        whole = list(_without(probe.beside, "#EXT-X-SKIP", "#EXT-X-RENDITION-REPORT"))
        ours = list(_without(probe.lines, "#EXT-X-SKIP", "#EXT-X-RENDITION-REPORT"))
        if probe.name == "skip v2":
            whole = list(_without(tuple(whole), "#EXT-X-DATERANGE"))
            ours = list(_without(tuple(ours), "#EXT-X-DATERANGE"))
        missing = _missing(whole, ours, probe.playlist.skipped)
        words = f"{track.name}, {probe.name}: of {len(whole)} lines {len(ours)} came"
        yield case(not missing, f"{words}, and {missing[0]} is missing" if missing else words)


def _without(lines: tuple[str, ...], *tags: str) -> Iterator[str]:
    return (line for line in lines if line and not line.startswith(tags))


def _missing(whole: list[str], ours: list[str], skipped: int) -> list[str]:
    """Lines of the whole playlist after the skipped segments that the update lacks."""
    left, rest = skipped, []
    for line in whole:
        is_uri = not line.startswith("#")
        if left and (is_uri or line.startswith(_SEGMENT_TAGS)):
            left -= is_uri
        else:
            rest.append(line)
    have = set(ours)
    return [line for line in rest if line not in have]


_SEGMENT_TAGS = (
    "#EXTINF", "#EXT-X-BYTERANGE", "#EXT-X-DISCONTINUITY", "#EXT-X-KEY", "#EXT-X-MAP",
    "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-GAP", "#EXT-X-BITRATE", "#EXT-X-PART:",
)  # fmt: skip


@must("6.2.5.1-removed", "RECENTLY-REMOVED-DATERANGES is there after _HLS_skip=v2")
def delta_removed(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "skip v2"):
        if probe.playlist is None or probe.playlist.skipped is None:
            continue
        if not probe.playlist.control.yes("CAN-SKIP-DATERANGES"):
            yield no_matter("there is no CAN-SKIP-DATERANGES")
            continue
        removed = probe.playlist.skip.quoted("RECENTLY-REMOVED-DATERANGES")
        yield case(removed is not None, f"{track.name}: EXT-X-SKIP:{probe.playlist.skip}")


@must("6.2.5.1-old-dateranges", "_HLS_skip=v2 leaves out date ranges older than CAN-SKIP-UNTIL")
def delta_dates(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "skip v2"):
        if probe.playlist is None or probe.playlist.skipped is None:
            continue
        boundary = probe.playlist.control.decimal("CAN-SKIP-UNTIL") or 0.0
        for date in probe.playlist.dates:
            first = next(
                (v.exchange.done_s for v in track.versions if date in v.playlist.dates), None
            )
            if first is not None:
                age = probe.exchange.asked_s - first
                words = f"{track.name}: {date.quoted('ID')} was added {age:.1f} s before"
                yield case(age <= boundary + 1.0, words)


@must("6.2.5.1-ended", "an ended playlist, or one without CAN-SKIP-UNTIL, ignores _HLS_skip")
def delta_ignored(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "ended skip", "skip not offered"):
        found = probe.playlist
        kept = found is not None and found.skipped is None
        yield case(kept, _words(track, probe))


@must("6.2.5.2-segment", "_HLS_msn holds the answer until that segment is there")
def block_segment(seen: Observation) -> Iterator[Case]:
    yield from _held(seen, "msn")


@must("6.2.5.2-part", "_HLS_msn with _HLS_part holds the answer until that part is there")
def block_part(seen: Observation) -> Iterator[Case]:
    yield from _held(seen, "msn and part")
    for track in seen.tracks:
        for version in track.versions:
            if version.wanted is not None and version.wanted[1] is not None:
                got = version.playlist.edge
                words = f"{track.name}: wanted {version.wanted}, got {got}"
                reached = got >= (version.wanted[0], version.wanted[1])
                yield case(reached or version.playlist.ended, words)


def _held(seen: Observation, name: str) -> Iterator[Case]:
    for track, probe in _probed(seen, name):
        if not _blocks(track):
            yield no_matter("there is no CAN-BLOCK-RELOAD")
            continue
        if probe.playlist is None or probe.wanted is None:
            yield bad(_words(track, probe))
            continue
        msn, part = probe.wanted
        whole = probe.playlist.segments[-1].msn if probe.playlist.segments else -1
        reached = whole >= msn if part is None else probe.playlist.edge >= (msn, part)
        got = f"asked for {msn}.{part}, got {probe.playlist.edge[0]}.{probe.playlist.edge[1]}"
        yield case(reached or probe.playlist.ended, f"{_words(track, probe)}: {got}")


@must("6.2.5.2-next-segment", "a part beyond the last of its segment is part 0 of the next one")
def next_segment(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "part beyond segment"):
        if not _blocks(track) or probe.wanted is None or _came(track, probe.wanted):
            continue
        found = probe.playlist
        # After the end there is no next one.
        later = found is not None and (found.ended or found.edge >= (probe.wanted[0] + 1, 0))
        yield case(later, f"{_words(track, probe)}: asked for {probe.wanted}")


def _came(track: Track, wanted: tuple[int, int | None]) -> bool:
    """The segment was longer than those before it, and has this part itself."""
    segment = track.segments.get(wanted[0])
    return segment is not None and len(segment.parts) > (wanted[1] or 0)


@must("6.2.5.2-old", "for an old segment the whole playlist comes at once, even if it has gone")
def old_segment(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "old msn", "gone msn"):
        took = probe.exchange.head_s - probe.exchange.asked_s
        kept = probe.playlist is not None and probe.playlist.skipped is None
        kept = kept and probe.playlist is not None and probe.playlist.edge >= probe.edge
        yield case(kept and took < AT_ONCE_S + seen.lag_s, _words(track, probe))


@must("6.2.5.2-ended", "an ended playlist ignores _HLS_msn and _HLS_part")
def ended(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "ended msn"):
        took = probe.exchange.head_s - probe.exchange.asked_s
        kept = probe.exchange.status == 200 and took < AT_ONCE_S + seen.lag_s
        yield case(kept, _words(track, probe))


@should("6.2.5.2-far", "a segment more than two ahead, or a part beyond the limit: 400 at once")
def too_far(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "msn too far", "part too far"):
        if not _blocks(track):
            yield no_matter("there is no CAN-BLOCK-RELOAD")
            continue
        if probe.playlist is not None and probe.playlist.ended:
            continue  # it ignores directives
        took = probe.exchange.head_s - probe.exchange.asked_s
        kept = 400 <= probe.exchange.status < 500 and took < AT_ONCE_S + seen.lag_s
        yield case(kept, f"{_words(track, probe)}, {probe.name}")


@must("6.2.5.2-part-alone", "_HLS_part without _HLS_msn is a bad request")
def part_alone(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "part alone"):
        if probe.playlist is not None and probe.playlist.ended:
            continue  # it ignores directives
        yield case(probe.exchange.status == 400, _words(track, probe))


@should("6.2.5-malformed", "directives that are no number are refused or ignored, and no failure")
def malformed(seen: Observation) -> Iterator[Case]:
    for track, probe in _probed(seen, "malformed"):
        kept = probe.exchange.status in (200, 400)
        yield case(kept, _words(track, probe))


@should("6.2.5.2-too-long", "who waits for more than three target durations gets 503")
def too_long(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        most = 3 * (last.target_duration or 0)
        for probe in track.probes:
            took = probe.exchange.head_s - probe.exchange.asked_s
            if took <= most:
                continue
            if probe.exchange.status == 503:
                yield good(_words(track, probe))
            elif took > most + 1.0:
                yield bad(_words(track, probe))
