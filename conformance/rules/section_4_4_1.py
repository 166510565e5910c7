"""4.1, 4.2, 4.4.1, 4.4.2: the text, and tags of both kinds of playlist."""

from collections.abc import Iterator

from conformance.observation import Observation
from conformance.playlist import MediaPlaylist
from conformance.rule import Case, bad, case, good, must, no_matter, should
from conformance.rules.flaws import free_of

text = free_of("4.1", "playlists are UTF-8 without byte order mark and control characters")
lists = free_of("4.2", "attribute lists can be read, and no attribute is there twice")
first_line = free_of("4.4.1.1", "#EXTM3U is the first line of every playlist")
version_once = free_of("4.4.1.2", "EXT-X-VERSION is a number and not there twice")
shared_once = free_of("4.4.2", "EXT-X-START and EXT-X-INDEPENDENT-SEGMENTS are not there twice")


def needed_version(playlist: MediaPlaylist) -> int:
    """Section 8: the least version for what the playlist has."""
    if "RECENTLY-REMOVED-DATERANGES" in playlist.skip:
        return 10
    if playlist.skipped is not None:
        return 9
    if any(segment.map for segment in playlist.all_segments):
        return 6
    if any(segment.byterange for segment in playlist.segments):
        return 4
    return 3


@must("4.4.1.2-enough", "EXT-X-VERSION is at least what section 8 wants for the tags used")
def version_enough(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        needed = needed_version(playlist)
        words = f"{track.name}: version {playlist.version}, needed {needed}"
        yield case((playlist.version or 1) >= needed, words)


@should("6.2.1-version", "EXT-X-VERSION is not greater than the playlist and its updates need")
def version_not_more(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        needed = needed_version(playlist)
        # The tag applies to the playlist and its server: delta updates count.
        if "CAN-SKIP-DATERANGES" in playlist.control:
            needed = 10
        elif "CAN-SKIP-UNTIL" in playlist.control:
            needed = max(needed, 9)
        words = f"{track.name}: version {playlist.version}, needed {needed}"
        yield case((playlist.version or 1) <= needed, words)


@must("4.4.2.1", "EXT-X-INDEPENDENT-SEGMENTS: every segment begins with an independent frame")
def independent(seen: Observation) -> Iterator[Case]:
    everywhere = seen.multivariant is not None and seen.multivariant.independent
    for track, last in seen.lasts:
        if not (everywhere or last.independent):
            yield no_matter("the tag is not used")
            continue
        for one in track.media("segment"):
            for run in one.runs:
                yield case(run.first_sync, f"{track.name}: first sample of {one.uri}")


@must("4.4.2.2", "EXT-X-START has a TIME-OFFSET")
def start_offset(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if last.start is None:
            yield no_matter("EXT-X-START is not used")
        elif "TIME-OFFSET" in last.start:
            yield good(f"{track.name}: EXT-X-START:{last.start}")
        else:
            yield bad(f"{track.name}: EXT-X-START:{last.start} has no TIME-OFFSET")


@should("4.4.2.2-live", "a live TIME-OFFSET is not within three target durations of the end")
def start_not_at_the_end(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if last.start is None or last.ended:
            yield no_matter("EXT-X-START is not used in a live playlist")
            continue
        text = last.start.get("TIME-OFFSET") or ""
        back = last.start.decimal("TIME-OFFSET")
        if text.startswith("-"):
            try:
                distance = float(text[1:])
            except ValueError:
                continue
        elif back is not None:
            distance = last.duration - back
        else:
            continue
        least = 3 * (last.target_duration or 0)
        words = f"{track.name}: {distance:.1f} s from the end, three target durations are {least} s"
        yield case(least <= distance <= last.duration, words)
