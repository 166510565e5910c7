"""6.2.2: what a live playlist may drop, and how long the media stay."""

from collections.abc import Iterator
from itertools import pairwise

from conformance.observation import Observation, Track
from conformance.playlist import MediaPlaylist
from conformance.rule import Case, case, must, no_matter, should

TINY = 0.0015


def _slides(track: Track) -> bool:
    """Segments were removed while it was watched."""
    firsts = [version.playlist.media_sequence or 0 for version in track.versions]
    return bool(firsts) and max(firsts) > 0


@must("6.2.2-sequence", "EXT-X-MEDIA-SEQUENCE is there and rises by what is removed, never falls")
def sequence(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            if before.playlist.skipped is not None or after.playlist.skipped is not None:
                continue
            old, new = before.playlist.media_sequence, after.playlist.media_sequence
            words = f"{track.name}: EXT-X-MEDIA-SEQUENCE was {old} and became {new}"
            by_uri = {one.uri: one.msn for one in before.playlist.segments}
            moved = [
                one for one in after.playlist.segments if by_uri.get(one.uri, one.msn) != one.msn
            ]
            yield case((new or 0) >= (old or 0) and not moved, words)


@must("6.2.2-three-targets", "no segment goes where less than three target durations would be left")
def three_targets(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            old, new = before.playlist.media_sequence or 0, after.playlist.media_sequence or 0
            if new > old and not after.playlist.ended:
                least = 3 * (after.playlist.target_duration or 0)
                words = f"{track.name}: {after.playlist.duration:.1f} s are left, least {least} s"
                yield case(after.playlist.duration >= least - TINY, words)


@must("6.2.2-length", "a playlist that drops segments lists three target durations")
def length(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if (last.media_sequence or 0) > 0 and not last.ended:
            least = 3 * (last.target_duration or 0)
            words = f"{track.name}: {last.duration:.1f} s listed, least {least} s"
            yield case(last.duration >= least - TINY, words)


@should("6.2.2-old-parts", "parts are not listed beyond three target durations from the end")
def old_parts(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        most = 3 * (playlist.target_duration or 0)
        behind = playlist.open.length
        for segment in reversed(playlist.segments):
            if segment.parts:
                words = f"{track.name}: parts of {segment.msn} are {behind:.1f} s from the end"
                # The segment that reaches over the boundary may keep its parts.
                yield case(behind <= most + segment.length + TINY, words)
            behind += segment.length


def _still_there(seen: Observation, kind: str) -> Iterator[Case]:
    for track in seen.tracks:
        for one in track.media(kind):
            there = one.exchange.status in (200, 206)
            if there or one.exchange.head_s <= one.until_s:
                yield case(there, f"{track.name}: {one.exchange.outcome}")


@must("6.2.2-removed-part", "a part can be fetched three target durations after its tag went")
def removed_part(seen: Observation) -> Iterator[Case]:
    yield from _still_there(seen, "removed part")


@must("6.2.2-removed-segment", "a segment stays for its duration and that of the longest playlist")
def removed_segment(seen: Observation) -> Iterator[Case]:
    yield from _still_there(seen, "kept segment")


@must("6.2.2-order", "segments and parts go in the order in which they are listed")
def order(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        with_parts = [bool(segment.parts) for segment in playlist.segments]
        # A gap may have had none: it says nothing, wherever it is.
        if True in with_parts:
            first = with_parts.index(True)
            without = [
                segment.msn
                for segment in playlist.segments[first:]
                if not segment.parts and not segment.gap
            ]
            words = f"{track.name}: parts from {playlist.segments[first].msn} on"
            yield case(not without, f"{words}, and not in {without}" if without else words)


def _discontinuities(playlist: MediaPlaylist) -> dict[int, int]:
    return {segment.msn: segment.discontinuity for segment in playlist.all_segments}


@must("6.2.2-discontinuity", "discontinuity numbers of segments stay, and never decrease")
def discontinuity(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            if before.playlist.skipped is not None or after.playlist.skipped is not None:
                continue
            old, new = _discontinuities(before.playlist), _discontinuities(after.playlist)
            moved = [msn for msn in old if msn in new and old[msn] != new[msn]]
            words = f"{track.name}: segment {moved[0]}: another number" if moved else track.name
            falls = (after.playlist.discontinuity_sequence or 0) < (
                before.playlist.discontinuity_sequence or 0
            )
            yield case(not moved and not falls, words)


@must("6.2.2-discontinuity-sequence", "a live playlist with discontinuities numbers them")
def discontinuity_sequence(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        if any(segment.starts_discontinuity for segment in playlist.segments) and _slides(track):
            found = playlist.discontinuity_sequence
            yield case(found is not None, f"{track.name}: EXT-X-DISCONTINUITY-SEQUENCE {found}")


@should("6.2.2-expires", "segments that will go say how long they may be kept (Expires, max-age)")
def expires(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one in track.media("segment"):
            if one.exchange.status == 200:
                said = one.exchange.header("expires") is not None
                words = f"{track.name} {one.uri}: {one.exchange.header('cache-control')}"
                yield case(said or one.exchange.max_age is not None, words)


@should("6.2.2-expires-true", "what Cache-Control says a file may be kept is no more than it stays")
def expires_true(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        first: dict[str, tuple[float, float]] = {}
        for one in track.fetched:
            known = first.get(one.uri)
            # It was said after the first request, and holds for an answer that came before it ran
            # out: the observer's own delay is in neither.
            if known is not None and one.exchange.head_s < known[1]:
                age = one.exchange.asked_s - known[0]
                words = f"{track.name}: {one.exchange.outcome} at {age:.1f} s of its max-age"
                yield case(one.exchange.status not in (404, 410), words)
            elif one.exchange.status == 200 and one.exchange.max_age is not None:
                asked = one.exchange.asked_s
                first[one.uri] = (asked, asked + one.exchange.max_age)


@must("6.2.2-type", "a live playlist has no EXT-X-PLAYLIST-TYPE")
def playlist_type(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if not _slides(track):
            yield no_matter("no segment was removed")
            continue
        yield case(last.type is None, f"{track.name}: EXT-X-PLAYLIST-TYPE {last.type}")


@must("6.2.2-contiguous", "no segment is left out: new ones follow those that were listed")
def contiguous(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        uris: dict[str, int] = {}
        for msn, segment in track.segments.items():
            if segment.uri is not None and segment.byterange is None and not segment.gap:
                first = uris.setdefault(segment.uri, msn)
                yield case(first == msn, f"{track.name}: {segment.uri} is {first} and {msn}")
        for before, after in pairwise(sorted(track.segments)):
            yield case(after == before + 1, f"{track.name}: {after} follows {before}")
