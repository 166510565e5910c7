"""What a conformance check would have seen of a faultless server, and ways to spoil it.

Two renditions of segments of 2 s and parts of 0.5 s; a discontinuity with another codec
configuration at segment 9, a gap at 11, a date range over segments 3 and 4, the end after 14.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from conformance.boxes import Init, InitTrack, Run
from conformance.observation import Exchange, Fetched, Observation, Probe, Track, Version
from conformance.reading import read_media as read_text
from conformance.variants import read_multivariant

BASE = "http://server/live/"
SEGMENTS, PARTS, PART_S, WINDOW, PARTS_KEPT = 14, 4, 0.5, 8, 3
BREAK, GAP = 9, 11
EPOCH = 1_700_000_000.0
NAMES = ("video", "audio")

MULTIVARIANT = """#EXTM3U
#EXT-X-VERSION:10
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1000000,CODECS="avc1.42e01e,mp4a.40.2",FRAME-RATE=60.000,AUDIO="a"
video.m3u8
"""

HEAD = """#EXTM3U
#EXT-X-VERSION:10
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,HOLD-BACK=6,CAN-SKIP-UNTIL=12,CAN-SKIP-DATERANGES=YES
#EXT-X-PART-INF:PART-TARGET=0.5
"""

read_media = lru_cache(4096)(read_text)  # most tests see mostly the same playlists
Edit = Callable[[str, str, int], str]
"""(text, rendition, how many parts there are) -> text."""
HEADERS = (
    ("content-encoding", "gzip"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "public, max-age=1"),
)


def date(seconds: float) -> str:
    when = datetime.fromtimestamp(EPOCH + seconds, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole(msn: int) -> int:
    return msn * PARTS


@lru_cache(1024)
def playlist(name: str, parts: int, *, skip: str = "") -> str:
    """The rendition's playlist once so many parts are there."""
    last, extra = divmod(parts, PARTS)
    ended = parts >= whole(SEGMENTS)
    first = max(0, last - WINDOW)
    lines = [HEAD, f"#EXT-X-MEDIA-SEQUENCE:{first}\n"]
    lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{int(first > BREAK)}\n")
    begin = first
    if skip and not ended and last - first > 6:
        begin = last - 6
        removed = ',RECENTLY-REMOVED-DATERANGES=""' if skip == "v2" else ""
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={begin - first}{removed}\n")
    for msn in range(begin, last + (extra > 0)):
        lines.extend(_segment(name, msn, parts, first=first, begin=begin))
    if parts >= 3 * PARTS and first * 2 <= 10:
        lines.append(f'#EXT-X-DATERANGE:ID="poll",START-DATE="{date(6)}",DURATION=4\n')
    other = NAMES[1 - NAMES.index(name)]
    at, part = divmod(parts - 1, PARTS)
    if ended:
        lines.append("#EXT-X-ENDLIST\n")
    else:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{name}-{last}.{extra}.m4s"\n')
        lines.append(f'#EXT-X-RENDITION-REPORT:URI="{other}.m3u8",LAST-MSN={at},LAST-PART={part}\n')
    return "".join(lines)


def _segment(name: str, msn: int, parts: int, *, first: int, begin: int) -> list[str]:
    last = parts // PARTS
    lines = []
    if msn == BREAK:
        lines.append("#EXT-X-DISCONTINUITY\n")
    if msn == BREAK or (msn == begin and begin == first):
        lines.append(f'#EXT-X-MAP:URI="{name}-init{int(msn >= BREAK)}.mp4"\n')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date(2 * msn)}\n")
    if msn >= last - PARTS_KEPT:
        for part in range(min(PARTS, parts - whole(msn))):
            mark = ",INDEPENDENT=YES" if name == "audio" or part == 0 else ""
            mark = ",GAP=YES" if msn == GAP else mark
            lines.append(f'#EXT-X-PART:DURATION=0.5,URI="{name}-{msn}.{part}.m4s"{mark}\n')
    if msn < last:
        gap = "#EXT-X-GAP\n" if msn == GAP else ""
        lines.append(f"{gap}#EXTINF:2.000,\n{name}-{msn}.m4s\n")
    return lines


def exchange(url: str, asked: float, done: float, **changes: Any) -> Exchange:
    found = Exchange(BASE + url, asked, done, done, done, 200, HEADERS, 1000)
    return replace(found, **changes)


def media_headers(kind: str = "video/mp4") -> tuple[tuple[str, str], ...]:
    return (
        ("content-type", kind),
        ("access-control-allow-origin", "*"),
        ("cache-control", "public, max-age=20"),
    )


def _runs(name: str, msn: int, part: int | None) -> tuple[Run, ...]:
    start = 2.0 * msn + (part or 0) * PART_S + (100 if msn >= BREAK else 0)
    length = PART_S if part is not None else 2.0
    samples = int(length * 60)
    independent = name == "audio" or not part
    return (Run(1, start, length, samples, independent, int(independent)),)


def _file(kind: str, name: str, msn: int, part: int | None, asked: float, **more: Any) -> Fetched:
    uri = f"{name}-{msn}.m4s" if part is None else f"{name}-{msn}.{part}.m4s"
    answer = exchange(uri, asked, asked + 0.01, headers=media_headers())
    return Fetched(
        kind, answer, uri, msn, -1 if part is None else part, _runs(name, msn, part),
        map=f"{name}-init{int(msn >= BREAK)}.mp4", **more,
    )  # fmt: skip


@lru_cache
def _fetched(name: str) -> tuple[Fetched, ...]:
    found = []
    for number in (0, 1):
        entry = "avc1" if name == "video" else "mp4a"
        handler = "vide" if name == "video" else "soun"
        init = Init((InitTrack(1, 1000, handler, entry, bytes([number]), 0, 0),))
        uri = f"{name}-init{number}.mp4"
        answer = exchange(uri, 0.1, 0.11, headers=media_headers())
        found.append(Fetched("init", answer, uri, init=init))
    for number in range(whole(SEGMENTS)):
        msn, part = divmod(number, PARTS)
        listed = (number + 1) * PART_S
        if msn != GAP:
            asked = listed - PART_S if part % 2 else listed
            found.append(_file("hint" if part % 2 else "part", name, msn, part, asked))
            if part == PARTS - 1:
                found.append(_file("segment", name, msn, None, listed))
    for msn in range(3):
        found.append(
            _file(
                "removed part",
                name,
                msn,
                3,
                2.0 * msn + 15,
            )
        )
        found.append(_file("kept segment", name, msn, None, 2.0 * msn + 19.5))
    unlisted = _file("hint", name, 99, 0, 20.0)
    found.append(
        replace(unlisted, runs=(), exchange=replace(unlisted.exchange, status=404, headers=()))
    )
    return tuple(found)


def _versions(name: str, edit: Edit) -> list[Version]:
    found = []
    for parts in range(1, whole(SEGMENTS) + 1):
        done = parts * PART_S
        wanted = divmod(parts - 1, PARTS) if parts > 1 else None
        answer = exchange(
            f"{name}.m3u8", done - PART_S + 0.01, done,
            headers=(*HEADERS, ("content-type", "application/vnd.apple.mpegurl")),
        )  # fmt: skip
        found.append(Version(answer, read_media(edit(playlist(name, parts), name, parts)), wanted))
    end = found[-1]
    later = replace(end.exchange, asked_s=end.exchange.done_s + 1, done_s=end.exchange.done_s + 1.1)
    return [*found, Version(later, end.playlist)]


def _probes(name: str, edit: Edit) -> list[Probe]:
    def probe(which: str, status: int, took: float, parts: int = 0, **more: Any) -> Probe:
        text = edit(playlist(name, parts), name, parts) if parts else ""
        skip = which.partition(" ")[2] if which.startswith("skip ") else ""
        if skip in ("YES", "v2"):
            text = edit(playlist(name, parts, skip=skip), name, parts)
            more["beside"] = tuple(edit(playlist(name, parts), name, parts).splitlines())
        asked = 17.5 if skip else 20.0
        answer = exchange(f"{name}.m3u8?{which}", asked, asked + took, status=status)
        return Probe(
            which, answer, (2, 1), read_media(text) if text else None,
            tuple(text.splitlines()), **more,
        )  # fmt: skip

    far = whole(SEGMENTS)
    return [
        probe("part alone", 400, 0.01),
        probe("malformed", 400, 0.01),
        probe("unknown name", 404, 0.01),
        probe("msn too far", 400, 0.01),
        probe("part too far", 400, 0.01),
        probe("old msn", 200, 0.01, 20),
        probe("gone msn", 200, 0.01, 48),
        probe("msn", 200, 2.0, 20, wanted=(4, None)),
        probe("msn and part", 200, 1.0, 20, wanted=(4, 3)),
        probe("part beyond segment", 200, 2.0, 21, wanted=(4, 5)),
        probe("skip YES", 200, 0.3, 38),
        probe("skip v2", 200, 0.3, 38),
        probe("ended msn", 200, 0.01, far),
        probe("ended skip", 200, 0.01, far),
        probe("reload", 503, 6.01),
    ]


def observed(
    edit: Edit = lambda text, name, parts: text,
    *,
    index: Callable[[str], str] = lambda text: text,
    change: Callable[[Observation], Observation] = lambda seen: seen,
) -> Observation:
    """The faultless observation, with playlists edited and facts changed."""
    tracks = tuple(
        Track(
            f"{name}.m3u8", f"{BASE}{name}.m3u8", name,
            tuple(_versions(name, edit)), _fetched(name), tuple(_probes(name, edit)),
        )
        for name in NAMES
    )  # fmt: skip
    heads = exchange("video.m3u8", 1, 1.01, method="HEAD", size=0)
    return change(
        Observation(
            BASE + "index.m3u8", exchange("index.m3u8", 0, 0.01),
            read_multivariant(index(MULTIVARIANT)), tracks, (heads,), "h2",
        )
    )  # fmt: skip


# -- ways to spoil it ------------------------------------------------------------------------


def swap(old: str, new: str, *, only: str = "", since: int = 0) -> Edit:
    """Replace in the playlists of `only` (or all) that have more than `since` parts."""

    def edit(text: str, name: str, parts: int) -> str:
        return text.replace(old, new) if only in ("", name) and parts > since else text

    return edit


def every_track(work: Callable[[Track], Track]) -> Callable[[Observation], Observation]:
    return lambda seen: replace(seen, tracks=tuple(work(track) for track in seen.tracks))


def files(kind: str, **changes: Any) -> Callable[[Observation], Observation]:
    """Every file of the kind changed; names of `Exchange` change its exchange."""
    fields = set(Exchange.__dataclass_fields__)

    def one(found: Fetched) -> Fetched:
        if found.kind != kind:
            return found
        given = {k: v(found) if callable(v) else v for k, v in changes.items()}
        answer = replace(found.exchange, **{k: v for k, v in given.items() if k in fields})
        rest = {k: v for k, v in given.items() if k not in fields}
        return replace(found, exchange=answer, **rest)

    return every_track(lambda t: replace(t, fetched=tuple(one(f) for f in t.fetched)))


def answers(name: str, **changes: Any) -> Callable[[Observation], Observation]:
    """The probe of that name answered otherwise."""
    fields = set(Exchange.__dataclass_fields__)

    def one(probe: Probe) -> Probe:
        if probe.name != name:
            return probe
        answer = replace(probe.exchange, **{k: v for k, v in changes.items() if k in fields})
        rest = {k: v for k, v in changes.items() if k not in fields}
        return replace(probe, exchange=answer, **rest)

    return every_track(lambda t: replace(t, probes=tuple(one(p) for p in t.probes)))


def versions(work: Callable[[Version], Version | None]) -> Callable[[Observation], Observation]:
    """Every version changed or, with None, not seen."""

    def track(found: Track) -> Track:
        kept = (work(version) for version in found.versions)
        return replace(found, versions=tuple(version for version in kept if version is not None))

    return every_track(track)


def without_header(name: str) -> Callable[[Version], Version]:
    def work(version: Version) -> Version:
        headers = tuple(pair for pair in version.exchange.headers if pair[0] != name)
        return replace(version, exchange=replace(version.exchange, headers=headers))

    return work
