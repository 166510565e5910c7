"""4.4.5: date ranges, skips, hints and rendition reports."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from conformance.attributes import Attributes
from conformance.lines import date_s
from conformance.observation import Observation, Track, Version
from conformance.rule import Case, bad, case, good, must, no_matter
from conformance.rules.flaws import free_of

skip_once = free_of(
    "4.4.5.2", "EXT-X-SKIP has SKIPPED-SEGMENTS and is not there twice",
    where=lambda playlist: playlist.skipped is not None,
)  # fmt: skip
hint_attributes = free_of(
    "4.4.5.3",
    "EXT-X-PRELOAD-HINT has TYPE and URI",
    where=lambda playlist: bool(playlist.hints),
)


def date_ranges(seen: Observation) -> Iterator[tuple[Track, Attributes]]:
    """Every EXT-X-DATERANGE tag that was seen, once."""
    known: set[tuple[str, Attributes]] = set()
    for track, playlist in seen.playlists:
        for date in playlist.dates:
            if (track.uri, date) not in known:
                known.add((track.uri, date))
                yield track, date


def _wrong(date: Attributes, start: float | None) -> Iterator[str]:
    """What is wrong with the tag, in words."""
    if not date.quoted("ID"):
        yield "has no ID"
    if start is None:
        yield "has no START-DATE that can be read"
        return
    end, duration = date_s(date.quoted("END-DATE")), date.decimal("DURATION")
    if "END-DATE" in date and (end is None or end < start):
        yield "has an END-DATE before START-DATE"
    if end is not None and duration is not None and abs(start + duration - end) > 0.0015:
        yield "has an END-DATE that is not START-DATE plus DURATION"
    for name in ("DURATION", "PLANNED-DURATION"):
        if name in date and date.decimal(name) is None:
            yield f"has {name}={date.get(name)}"
    if "END-ON-NEXT" in date:
        if not date.yes("END-ON-NEXT") or "CLASS" not in date:
            yield "has END-ON-NEXT that is not YES or without CLASS"
        if "DURATION" in date or "END-DATE" in date:
            yield "has END-ON-NEXT and an end of its own"


@must("4.4.5.1", "EXT-X-DATERANGE has ID, START-DATE and an end that fits them")
def date_range(seen: Observation) -> Iterator[Case]:
    starts: dict[str, float] = {}
    for track, date in date_ranges(seen):
        id = date.quoted("ID") or ""
        start = date_s(date.quoted("START-DATE"))
        if start is not None:
            starts.setdefault(id, start)
        words = f"{track.name}: EXT-X-DATERANGE:{date}"
        wrong = next(_wrong(date, starts.get(id)), None)
        yield bad(f"{words} {wrong}") if wrong else good(words)


@must("4.4.5.1-same", "tags with the same ID have the same value of every attribute")
def date_range_same(seen: Observation) -> Iterator[Case]:
    known: dict[tuple[str, str], str] = {}
    for track, date in date_ranges(seen):
        id = date.quoted("ID") or ""
        for name, value in date.pairs:
            first = known.setdefault((id, name), value)
            yield case(first == value, f"{track.name}: {id} has {name}={value}, earlier {first}")


@must("4.4.5.1-date-time", "a playlist with EXT-X-DATERANGE has an EXT-X-PROGRAM-DATE-TIME")
def date_range_dated(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        if playlist.dates and playlist.skipped is None:
            dated = any(segment.date is not None for segment in playlist.all_segments)
            yield case(dated, f"{track.name}: {len(playlist.dates)} date ranges")


@must("4.4.5.3-ended", "an ended playlist has no EXT-X-PRELOAD-HINT")
def hint_ended(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        if playlist.ended:
            yield case(not playlist.hints, f"{track.name}: {len(playlist.hints)} hints")


@must("4.4.5.3-uri", "the URI that was hinted is that of the part that is listed next")
def hint_uri(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for before, after in track.pairs:
            hint = before.playlist.hint()
            if hint is None or after.playlist.edge == before.playlist.edge:
                continue
            new = next(
                (
                    part
                    for segment, index, part in after.playlist.parts
                    if (segment.msn, index) > before.playlist.edge
                ),
                None,
            )
            if new is not None and not new.gap:
                yield case(new.uri == hint, f"{track.name}: hinted {hint}, listed {new.uri}")


@must("4.4.5.4", "EXT-X-RENDITION-REPORT has a relative URI, LAST-MSN and LAST-PART")
def report_attributes(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        for report in playlist.reports:
            uri = report.quoted("URI")
            words = f"{track.name}: EXT-X-RENDITION-REPORT:{report}"
            # An attribute may be left out where it is that of the playlist itself.
            for name in ("LAST-MSN", "LAST-PART"):
                if name in report and report.integer(name) is None:
                    yield bad(f"{words}: {name} is not a number")
            yield case(uri is not None and not urlsplit(uri).scheme, words)


def _reported(version: Version, report: Attributes) -> tuple[int, int]:
    """The position; what is left out is as in the playlist itself."""
    msn, part = version.playlist.edge
    last_msn, last_part = report.integer("LAST-MSN"), report.integer("LAST-PART")
    return (
        msn if last_msn is None else last_msn,
        part if last_part is None and "LAST-MSN" not in report else (last_part or 0),
    )


@must("4.4.5.4-current", "a rendition report is as up to date as the playlist it is in")
def report_current(seen: Observation) -> Iterator[Case]:
    by_url = {urlsplit(track.url).path: track for track in seen.tracks}
    for track in seen.tracks:
        for version in track.versions:
            for report in version.playlist.reports:
                url = urljoin(track.url, report.quoted("URI") or "")
                sibling = by_url.get(urlsplit(url).path)
                if sibling is not None and sibling is not track:
                    yield from _current(track, version, sibling, _reported(version, report))
    if not any(playlist.reports for _, playlist in seen.playlists):
        yield no_matter("there are no rendition reports")


def _current(
    track: Track, version: Version, sibling: Track, said: tuple[int, int]
) -> Iterator[Case]:
    """Not behind what the sibling had shown before, not ahead of what it shows afterwards."""
    asked, done = version.exchange.asked_s, version.exchange.done_s
    before = [v.playlist.edge for v in sibling.versions if v.exchange.done_s < asked]
    after = [v.playlist.edge for v in sibling.versions if v.exchange.asked_s > done]
    words = f"{track.name} at {done:.2f} s says {said[0]}.{said[1]} of {sibling.name}"
    if before and said < before[-1]:
        yield bad(f"{words}, which had shown {before[-1][0]}.{before[-1][1]} before")
    elif after and said > after[0]:
        yield bad(f"{words}, which showed {after[0][0]}.{after[0][1]} afterwards")
    elif before and after:
        yield good(words)
