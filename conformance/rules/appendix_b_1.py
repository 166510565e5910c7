"""Appendix B.1, the low-latency profile, and what browsers need of HTTP."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from conformance.observation import Observation
from conformance.rule import Case, bad, case, must, no_matter, should
from conformance.rules.section_6_2_1 import SLACK_S


def _low_latency(seen: Observation) -> bool:
    return any(last.part_target is not None for _, last in seen.lasts)


@must("B.1-reports", "each playlist has one rendition report for each of the others")
def reports(seen: Observation) -> Iterator[Case]:
    if len(seen.tracks) < 2 or not _low_latency(seen):
        yield no_matter("there is one rendition, or no low latency")
        return
    paths = {urlsplit(track.url).path: track.name for track in seen.tracks}
    for track, playlist in seen.playlists:
        if playlist.ended:
            continue
        found = [
            urlsplit(urljoin(track.url, report.quoted("URI") or "")).path
            for report in playlist.reports
        ]
        missing = [
            name
            for path, name in paths.items()
            if path != urlsplit(track.url).path and found.count(path) != 1
        ]
        yield case(not missing, f"{track.name}: reports of {missing or 'all'} {len(found)}")


@must("B.1-parts", "all renditions have parts where one has them, audio too")
def parts(seen: Observation) -> Iterator[Case]:
    if not _low_latency(seen):
        yield no_matter("there are no parts")
        return
    for track in seen.tracks:
        there = any(True for v in track.versions for _ in v.playlist.parts)
        yield case(there, f"{track.name}: parts {'are' if there else 'are not'} listed")


@must("B.1-dates", "all playlists have EXT-X-PROGRAM-DATE-TIME")
def dates(seen: Observation) -> Iterator[Case]:
    if not _low_latency(seen):
        yield no_matter("there is no low latency")
        return
    for track, playlist in seen.playlists:
        if playlist.all_segments:
            yield case(bool(playlist.dated()), f"{track.name}: {len(playlist.dated())} dated")


@must("B.1-block", "low latency comes with CAN-BLOCK-RELOAD=YES")
def blocking(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        if last.part_target is None:
            yield bad(f"{track.name}: no EXT-X-PART-INF, so this is no low-latency stream")
        else:
            yield case(last.control.yes("CAN-BLOCK-RELOAD"), f"{track.name}: {last.control}")


@must("B.1-hint", "a live playlist with parts hints the part that is next")
def hint(seen: Observation) -> Iterator[Case]:
    for track, playlist in seen.playlists:
        if any(True for _ in playlist.parts) and not playlist.ended:
            yield case(playlist.hint() is not None, f"{track.name}: hint {playlist.hint()}")


@must("B.1-independent", "every segment has an independent frame")
def independent(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for one in track.media("segment"):
            for run in one.runs:
                yield case(run.syncs > 0, f"{track.name} {one.uri}: {run.syncs} in it")


@must("B.1-sync", "all renditions are updated within one part target of each other")
def in_step(seen: Observation) -> Iterator[Case]:
    lasts = [(track, last) for track, last in seen.lasts if last.dated()]
    if len(lasts) < 2 or not _low_latency(seen):
        yield no_matter("there is one rendition, or no low latency")
        return
    first, theirs = lasts[0]
    arrivals = {
        v.playlist.edge: (v.exchange.done_s, _end(v.playlist.dated())) for v in first.versions
    }
    for track, last in lasts[1:]:
        most = max(last.part_target or 0.0, theirs.part_target or 0.0)
        room = max(SLACK_S, most) + seen.lag_s
        for version in track.versions:
            end = _end(version.playlist.dated())
            reached = [at for at, other in arrivals.values() if other >= end - most - 0.001]
            if reached and min(reached) > 0 and version is not track.versions[0]:
                late = min(reached) - version.exchange.done_s
                words = f"{first.name} came {late:.3f} s after {track.name}"
                yield case(late <= room, f"{words}, most {most:g} s")


def _end(dated: tuple[tuple[object, float], ...]) -> float:
    if not dated:
        return 0.0
    segment, at = dated[-1]
    return at + float(getattr(segment, "length", 0.0))


@must("B.1-h2", "over TLS, HTTP/2 is offered")
def http2(seen: Observation) -> Iterator[Case]:
    if seen.protocol is None:
        yield no_matter("this is not TLS")
    else:
        yield case(seen.protocol == "h2", f"ALPN chose {seen.protocol or 'nothing'}")


@must("B.1-gzip", "playlists are delivered with gzip")
def gzip(seen: Observation) -> Iterator[Case]:
    if not _low_latency(seen):
        yield no_matter("there is no low latency")
        return
    for track in seen.tracks:
        for version in track.versions[:1]:
            coding = version.exchange.header("content-encoding")
            yield case(coding == "gzip", f"{track.name}: content-encoding {coding}")


@should("B.1-cache", "playlists say how long they may be kept, and no longer than they are right")
def cache(seen: Observation) -> Iterator[Case]:
    for track, last in seen.lasts:
        target = last.target_duration or 0
        for version in track.versions:
            said = version.exchange.header("cache-control")
            age = version.exchange.max_age
            most = 6 * target if version.wanted is not None else target
            words = f"{track.name}: Cache-Control: {said}"
            short = age is None or age <= most or last.ended
            yield case(said is not None and short, words)


@should("HTTP-cors", "playlists and media may be read by pages of any origin (CORS)")
def cors(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        exchanges = [version.exchange for version in track.versions[:3]]
        exchanges += [one.exchange for one in track.fetched if one.exchange.status == 200]
        for one in exchanges:
            allowed = one.header("access-control-allow-origin")
            yield case(allowed is not None, f"{one.outcome}: allow-origin {allowed}")


@should("HTTP-head", "HEAD is answered as GET, without a body")
def head(seen: Observation) -> Iterator[Case]:
    for one in seen.requests:
        if one.method == "HEAD":
            yield case(one.status == 200 and one.size == 0, one.outcome)


@should("HTTP-type", "playlists and media have their content type")
def content_type(seen: Observation) -> Iterator[Case]:
    for track in seen.tracks:
        for version in track.versions[:3]:
            kind = (version.exchange.header("content-type") or "").partition(";")[0].lower()
            kept = kind in (
                "application/vnd.apple.mpegurl",
                "audio/mpegurl",
                "application/x-mpegurl",
            )
            yield case(kept, f"{track.name}: content-type {kind}")
        for one in track.media("part", "segment"):
            kind = one.exchange.header("content-type") or ""
            if one.exchange.status == 200:
                known = ("video/", "audio/", "application/mp4", "text/vtt")
                yield case(kind.startswith(known), f"{track.name} {one.uri}: content-type {kind}")
