"""6.2.3, 6.2.4: what renditions have in common."""

from collections.abc import Iterator

from conformance.observation import Observation, Track
from conformance.playlist import MediaPlaylist
from conformance.rule import Case, case, must, no_matter

CLOSE_S = 0.1
"""Media of two renditions at one date: frames do not begin together."""
_PREFIXES = {
    "avc1": ("avc1", "avc3"), "avc3": ("avc1", "avc3"), "hvc1": ("hvc1", "hev1"),
    "hev1": ("hvc1", "hev1"), "mp4a": ("mp4a",), "Opus": ("opus", "Opus"), "fLaC": ("fLaC",),
    "av01": ("av01",), "vp09": ("vp09",), "ac-3": ("ac-3",), "ec-3": ("ec-3",),
}  # fmt: skip


def _first(seen: Observation) -> tuple[Track, MediaPlaylist] | None:
    lasts = seen.lasts
    return lasts[0] if len(lasts) > 1 else None


@must("6.2.4-target", "all renditions have the same target duration")
def target(seen: Observation) -> Iterator[Case]:
    if (first := _first(seen)) is None:
        yield no_matter("there is one rendition")
        return
    for track, last in seen.lasts[1:]:
        ours, theirs = last.target_duration, first[1].target_duration
        yield case(ours == theirs, f"{track.name}: {ours}, {first[0].name}: {theirs}")


@must("6.2.4-server-control", "all renditions have the same EXT-X-SERVER-CONTROL")
def server_control(seen: Observation) -> Iterator[Case]:
    if (first := _first(seen)) is None:
        yield no_matter("there is one rendition")
        return
    for track, last in seen.lasts[1:]:
        same = sorted(last.control.pairs) == sorted(first[1].control.pairs)
        yield case(same, f"{track.name}: {last.control}; {first[0].name}: {first[1].control}")


@must("6.2.4-type", "all renditions have the same EXT-X-PLAYLIST-TYPE")
def playlist_type(seen: Observation) -> Iterator[Case]:
    if (first := _first(seen)) is None:
        yield no_matter("there is one rendition")
        return
    for track, last in seen.lasts[1:]:
        yield case(last.type == first[1].type, f"{track.name}: {last.type}, {first[1].type}")


@must("6.2.4-codecs", "CODECS names every format of the variant's renditions")
def codecs(seen: Observation) -> Iterator[Case]:
    if seen.multivariant is None:
        yield no_matter("the URL is a media playlist")
        return
    by_uri = {track.uri: track for track in seen.tracks}
    for variant in seen.multivariant.variants:
        listed = variant.attributes.quoted("CODECS")
        if listed is None:
            continue
        uris = [variant.uri]
        uris += [
            one.quoted("URI") or ""
            for one in seen.multivariant.renditions
            if one.quoted("GROUP-ID") in (variant.attributes.quoted("AUDIO"), "")
        ]
        said = [one.strip() for one in listed.split(",")]
        for uri in uris:
            track = by_uri.get(uri)
            for init in track.inits.values() if track is not None else ():
                for one in init.tracks:
                    prefixes = _PREFIXES.get(one.entry, (one.entry,))
                    named = any(name.startswith(prefixes) for name in said)
                    yield case(named, f'{uri} is {one.entry}, CODECS="{listed}"')


def _clock(track: Track, playlist: MediaPlaylist) -> dict[int, float]:
    """Discontinuity number -> date minus media time of a segment of it."""
    dates = {segment.msn: (segment.discontinuity, at) for segment, at in playlist.dated()}
    listed = track.segments
    found: dict[int, float] = {}
    for one in track.media("segment"):
        if one.runs and one.msn in dates:
            number, at = dates[one.msn]
            absent = listed[one.msn].absent_first if one.msn in listed else 0.0
            found.setdefault(number, at + absent - min(run.start_s for run in one.runs))
    return found


@must("6.2.4-dates", "all renditions map dates to media time alike")
def dates(seen: Observation) -> Iterator[Case]:
    if (first := _first(seen)) is None:
        yield no_matter("there is one rendition")
        return
    theirs = _clock(*first)
    for track, last in seen.lasts[1:]:
        for number, offset in _clock(track, last).items():
            if number in theirs:
                apart = offset - theirs[number]
                words = f"{track.name} and {first[0].name}: {apart * 1000:.0f} ms apart"
                yield case(abs(apart) <= CLOSE_S, words)


@must("6.2.4-dated", "if one rendition has dates, all have")
def dated(seen: Observation) -> Iterator[Case]:
    has = {track.name: bool(last.dated()) for track, last in seen.lasts if last.all_segments}
    if not any(has.values()):
        yield no_matter("there is no EXT-X-PROGRAM-DATE-TIME")
        return
    for name, dates in has.items():
        yield case(
            dates, f"{name}: EXT-X-PROGRAM-DATE-TIME {'is there' if dates else 'is missing'}"
        )


@must("6.2.4-discontinuity", "what is at the same date has the same discontinuity number")
def discontinuity(seen: Observation) -> Iterator[Case]:
    if (first := _first(seen)) is None:
        yield no_matter("there is one rendition")
        return
    theirs = [(at, at + one.length, one) for one, at in first[1].dated() if one.uri is not None]
    for track, last in seen.lasts[1:]:
        for segment, at in last.dated():
            middle = at + segment.length / 2
            for begin, end, other in theirs:
                if segment.uri is not None and begin <= middle < end:
                    words = (
                        f"{track.name} {segment.msn}: {segment.discontinuity}, "
                        f"{first[0].name} {other.msn}: {other.discontinuity}"
                    )
                    yield case(segment.discontinuity == other.discontinuity, words)


def _apart(ours: MediaPlaylist, theirs: MediaPlaylist) -> float:
    """Seconds between where they begin or where they end, whichever is more."""
    (begin, end), (other_begin, other_end) = _reach(ours), _reach(theirs)
    return max(abs(begin - other_begin), abs(end - other_end))


def _reach(playlist: MediaPlaylist) -> tuple[float, float]:
    dated = playlist.dated()
    return dated[0][1], dated[-1][1] + dated[-1][0].length


@must("6.2.4-content", "no rendition reaches further than a target duration beyond the others")
def content(seen: Observation) -> Iterator[Case]:
    if (first := _first(seen)) is None:
        yield no_matter("there is one rendition")
        return
    for track, last in seen.lasts[1:]:
        # Their versions are of different moments: one may have lost a segment in between.
        found = [
            _apart(ours.playlist, theirs.playlist)
            for ours in first[0].versions[-2:]
            for theirs in track.versions[-2:]
            if ours.playlist.dated() and theirs.playlist.dated()
        ]
        if not found:
            continue
        apart, most = min(found), float(last.target_duration or 0)
        words = f"{track.name} and {first[0].name}: {apart:.2f} s apart, most {most:g} s"
        yield case(apart <= most + seen.lag_s, words)


@must("6.2.4-dateranges", "every rendition with date ranges has the same ones")
def date_ranges(seen: Observation) -> Iterator[Case]:
    with_dates = [(track, last) for track, last in seen.lasts if last.dates]
    if len(with_dates) < 2:
        yield no_matter("there are not two renditions with date ranges")
        return
    first, _ = with_dates[0]
    for track, _ in with_dates[1:]:
        # Their versions are of different moments: one may have got a range, or lost it, in between.
        found = [
            _said(ours.playlist) ^ _said(theirs.playlist)
            for ours in track.versions[-2:]
            for theirs in first.versions[-2:]
        ]
        differ = sorted(str(id) for id, _ in min(found, key=len))
        yield case(not differ, f"{track.name} and {first.name} differ in {differ or 'nothing'}")


def _said(playlist: MediaPlaylist) -> set[tuple[str | None, object]]:
    return {(date.quoted("ID"), date.pairs) for date in playlist.dates}


@must("6.2.3", "while segments are encrypted, an EXT-X-KEY with a URI applies to them")
def keys(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for segment in track.segments.values():
            if segment.key is None:
                yield no_matter("segments are not encrypted")
            else:
                yield case('URI="' in segment.key, f"{track.name} {segment.msn}: {segment.key}")
