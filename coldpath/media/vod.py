"""VOD playlists over segments that exist already (RFC 8216bis); pure, text only.

Invariant: all media playlists of a recording have the same number of entries, with the same
discontinuities at the same places, so a player keeps them together; every recorded segment is
listed once.

Upstream: `recording`. Downstream: the archive function stores the texts. The playlists lie under
`vod/{project}/{event}/{feed}/{content}/` and name segments by relative URL, which resolves wherever
the bucket is served as a whole (a CDN, a public bucket, a reverse proxy). A presigned URL covers
the playlist only, not what it names.
"""

import posixpath
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from coldpath.media.recording import Recording, Rendition, Run, Segment
from infra.audio_group import GROUP, AudioRendition, audio_group
from infra.captions_group import GROUP as CAPTIONS_GROUP
from infra.captions_group import captions_rendition
from infra.keys import VodKey

MULTIVARIANT = "index.m3u8"
CONTENT_TYPE = "application/vnd.apple.mpegurl"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def playlist_name(rendition: str) -> str:
    return f"{rendition}.m3u8"


def playlists(recording: Recording, content: str) -> dict[str, str]:
    """File name to text: one media playlist per rendition and the multivariant over them."""
    folder = posixpath.dirname(str(VodKey(recording.program, content, MULTIVARIANT)))
    texts = {
        playlist_name(r.name): _media_playlist(recording, r, folder) for r in recording.renditions
    }
    texts[MULTIVARIANT] = _multivariant(recording)
    return texts


def with_captions(recording: Recording, language: str) -> str:
    """The multivariant playlist that offers the captions, too."""
    return _multivariant(recording, (captions_rendition(language),))


def captions_playlist(recording: Recording, names: Sequence[str]) -> str:
    """`names`: a WebVTT file for each run."""
    lengths = run_lengths(recording)
    longest = max(lengths, default=Fraction(1))
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:8",
        f"#EXT-X-TARGETDURATION:{max(1, int(longest + Fraction(1, 2)))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
    for number, (name, seconds) in enumerate(zip(names, lengths, strict=True)):
        lines += ["#EXT-X-DISCONTINUITY"] if number else []
        lines += [f"#EXTINF:{float(seconds):.6f},", name]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def run_lengths(recording: Recording) -> list[Fraction]:
    """Seconds of each run in the playlist of the source's picture, which a player goes by."""
    source = recording.first("video")
    return [
        sum((_seconds(recording, run, msn, source) for msn in run.msns), Fraction(0))
        for run in recording.runs
    ]


def run_start(recording: Recording, run: Run) -> Fraction:
    """The media time, in seconds, at which a player begins the run."""
    source = recording.first("video")
    led = [r for r in recording.renditions if run.of(r.name)]
    leading = source if source in led else led[0]
    first = run.of(leading.name)[0]
    missed = run.msns[: run.msns.index(first.entry.msn)]
    before = sum((_longest(run, msn, recording) for msn in missed), Fraction(0))
    return Fraction(first.entry.start, leading.timescale) - before


def duration(recording: Recording) -> Fraction:
    """Seconds of the VOD presentation."""
    return sum(run_lengths(recording), Fraction(0))


def _media_playlist(recording: Recording, rendition: Rendition, folder: str) -> str:
    entries = list(_entries(recording, rendition, folder))
    longest = max((seconds for seconds, _ in entries), default=Fraction(1))
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:8",  # EXT-X-GAP
        # §4.4.3.1: each duration, rounded to the nearest integer, is at most the target.
        f"#EXT-X-TARGETDURATION:{max(1, int(longest + Fraction(1, 2)))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
    for _, entry in entries:
        lines += entry
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def _entries(
    recording: Recording, rendition: Rendition, folder: str
) -> Iterator[tuple[Fraction, list[str]]]:
    """(seconds, lines) of every entry of the rendition's playlist."""
    init = ""
    for number, run in enumerate(recording.runs):
        own = run.of(rendition.name)
        for msn in run.msns:
            lines = ["#EXT-X-DISCONTINUITY"] if number and msn == run.msns[0] else []
            segment = run.segments.get(rendition.name, {}).get(msn)
            mapped = segment or (own[0] if own else None)
            if mapped is not None and mapped.init_key != init:
                init = mapped.init_key
                lines.append(f'#EXT-X-MAP:URI="{posixpath.relpath(init, folder)}"')
            seconds = _longest(run, msn, recording)
            if segment is None:
                lines += _gap(run, rendition, msn, seconds, folder)
            else:
                seconds = Fraction(segment.entry.duration, rendition.timescale)
                lines += _listed(segment, seconds, folder)
            yield seconds, lines


def _listed(segment: Segment, seconds: Fraction, folder: str) -> list[str]:
    return [
        f"#EXT-X-PROGRAM-DATE-TIME:{_date_time(segment.entry.pdt_ns)}",
        f"#EXTINF:{float(seconds):.6f},",
        posixpath.relpath(segment.key, folder),
    ]


def _gap(run: Run, rendition: Rendition, msn: int, seconds: Fraction, folder: str) -> list[str]:
    """§4.4.4.7: the entry keeps its place and its time; a player does not load it."""
    missing = f"live/{run.program}/{run.incarnation}/{rendition.name}/s{msn}.m4s"
    return ["#EXT-X-GAP", f"#EXTINF:{float(seconds):.6f},", posixpath.relpath(missing, folder)]


def _seconds(recording: Recording, run: Run, msn: int, source: Rendition | None) -> Fraction:
    own = run.segments.get(source.name, {}).get(msn) if source else None
    if source is None or own is None:
        return _longest(run, msn, recording)
    return Fraction(own.entry.duration, source.timescale)


def _longest(run: Run, msn: int, recording: Recording) -> Fraction:
    return max(
        Fraction(found[msn].entry.duration, rendition.timescale)
        for rendition in recording.renditions
        if msn in (found := run.segments.get(rendition.name, {}))
    )


def _multivariant(recording: Recording, subtitles: Sequence[str] = ()) -> str:
    video = [r for r in recording.renditions if r.kind == "video"]
    audio = sorted((r for r in recording.renditions if r.kind == "audio"), key=lambda r: r.name)
    group = audio if video or len(audio) > 1 else []
    lines = ["#EXTM3U", "#EXT-X-VERSION:8", *audio_group([_in_group(r) for r in group]), *subtitles]
    offered = f',SUBTITLES="{CAPTIONS_GROUP}"' if subtitles else ""
    for rendition in video or audio[:1]:
        stream = _stream_inf(recording, rendition, group)
        lines += [stream + offered, playlist_name(rendition.name)]
    return "\n".join([*lines, ""])


def _in_group(r: Rendition) -> AudioRendition:
    return AudioRendition(playlist_name(r.name), r.channels or 2, r.language, r.describes_video)


def _stream_inf(recording: Recording, rendition: Rendition, group: list[Rendition]) -> str:
    own = [] if rendition in group else [rendition]
    # §4.4.6.2: with the sound that needs the most, and every codec of any of them.
    rates = [_rates(recording, r) for r in own]
    heard = [_rates(recording, r) for r in group]
    peak = sum(peak for peak, _ in rates) + max((peak for peak, _ in heard), default=0)
    average = sum(each for _, each in rates) + max((each for _, each in heard), default=0)
    codecs = ",".join(dict.fromkeys(c for r in (*own, *group) for c in r.codecs))
    attributes = [f"BANDWIDTH={peak}", f"AVERAGE-BANDWIDTH={average}", f'CODECS="{codecs}"']
    if rendition.width:
        attributes.append(f"RESOLUTION={rendition.width}x{rendition.height}")
    if group:
        attributes.append(f'AUDIO="{GROUP}"')
    return "#EXT-X-STREAM-INF:" + ",".join(attributes)


def _rates(recording: Recording, rendition: Rendition) -> tuple[int, int]:
    """Peak and average bits per second."""
    entries = [s.entry for run in recording.runs for s in run.of(rendition.name)]
    peak = max(e.bytes * 8 * rendition.timescale // e.duration for e in entries)
    ticks = sum(e.duration for e in entries)
    return peak, sum(e.bytes for e in entries) * 8 * rendition.timescale // ticks


def _date_time(ns: int) -> str:
    """ISO 8601 in UTC with milliseconds."""
    at = _EPOCH + timedelta(milliseconds=ns // 1_000_000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
