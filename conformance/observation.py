"""What was seen of a programme: exchanges, playlist versions, media, and directed probes.

Invariant: frozen facts without judgement. Times are seconds since the observation began.
Upstream: `observe` records them. Downstream: `rules` judge them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from urllib.parse import urljoin, urlsplit

from conformance.boxes import Init, Run
from conformance.playlist import MediaPlaylist, Multivariant, Segment


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer."""

    url: str
    asked_s: float
    head_s: float
    """When the status line had come."""
    first_s: float
    """When the first byte of the body had come; without one, as `head_s`."""
    done_s: float
    status: int
    """0: no answer; `trouble` says why."""
    headers: tuple[tuple[str, str], ...] = ()
    size: int = 0
    trouble: str = ""
    method: str = "GET"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def max_age(self) -> float | None:
        for directive in (self.header("cache-control") or "").split(","):
            name, _, value = directive.strip().partition("=")
            if name == "max-age" and value.isdigit():
                return float(value)
        return None

    @property
    def outcome(self) -> str:
        """In words, for evidence."""
        took = f"after {(self.done_s - self.asked_s) * 1000:.0f} ms"
        answer = f"HTTP {self.status}" if self.status else f"no answer ({self.trouble})"
        return f"{short(self.url)}: {answer} {took}"


def short(url: str) -> str:
    """The last piece of a URL's path, with its query."""
    parts = urlsplit(url)
    name = parts.path.rpartition("/")[2]
    return f"{name}?{parts.query}" if parts.query else name


@dataclass(frozen=True, slots=True)
class Version:
    """A playlist as it came in answer to a reload."""

    exchange: Exchange
    playlist: MediaPlaylist
    wanted: tuple[int, int | None] | None = None
    """The position that the request waited for."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A media file that was asked for."""

    kind: str
    """`hint` (before it was listed), `part`, `segment`, `init`, `removed part`, `kept segment`."""
    exchange: Exchange
    uri: str
    msn: int = -1
    part: int = -1
    runs: tuple[Run, ...] = ()
    init: Init | None = None
    map: str | None = None
    unreadable: str = ""
    """Why its boxes could not be read."""
    until_s: float = inf
    """When what has left the playlist may go; an answer after that says nothing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A request made to see how a directive is answered."""

    name: str
    exchange: Exchange
    edge: tuple[int, int]
    """Newest part known before it was sent."""
    playlist: MediaPlaylist | None = None
    lines: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """Lines of the whole playlist of the same position, for a delta update."""
    wanted: tuple[int, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One media playlist and all that was seen of it."""

    uri: str
    url: str
    kind: str
    """`video` or `audio`, as the multivariant playlist lists it: a variant is `video`."""
    versions: tuple[Version, ...] = ()
    fetched: tuple[Fetched, ...] = ()
    probes: tuple[Probe, ...] = ()

    @property
    def name(self) -> str:
        return short(self.url)

    @property
    def last(self) -> MediaPlaylist | None:
        return self.versions[-1].playlist if self.versions else None

    @property
    def pairs(self) -> Iterator[tuple[Version, Version]]:
        return pairwise(self.versions)

    @property
    def segments(self) -> dict[int, Segment]:
        """Every complete segment that was listed, as it was listed with the most parts."""
        found: dict[int, Segment] = {}
        for version in self.versions:
            for segment in version.playlist.segments:
                known = found.get(segment.msn)
                if known is None or len(known.parts) < len(segment.parts):
                    found[segment.msn] = segment
        return found

    @property
    def inits(self) -> dict[str, Init]:
        return {one.uri: one.init for one in self.fetched if one.init is not None}

    def absolute(self, uri: str) -> str:
        return urljoin(self.url, uri)

    def media(self, *kinds: str) -> Iterator[Fetched]:
        return (one for one in self.fetched if one.kind in kinds)

    def probed(self, *names: str) -> Iterator[Probe]:
        return (one for one in self.probes if one.name in names)


@dataclass(frozen=True, slots=True)
class Observation:
    url: str
    exchange: Exchange
    multivariant: Multivariant | None = None
    """None: the URL is a media playlist."""
    tracks: tuple[Track, ...] = ()
    requests: tuple[Exchange, ...] = ()
    """HEAD, OPTIONS and unknown names."""
    protocol: str | None = None
    """What TLS's ALPN chose of h2 and http/1.1; None without TLS."""
    lag_s: float = 0.0
    """How late the observer itself was at most: nothing finer than this can be judged."""

    @property
    def playlists(self) -> Iterator[tuple[Track, MediaPlaylist]]:
        for track in self.tracks:
            for version in track.versions:
                yield track, version.playlist

    @property
    def lasts(self) -> list[tuple[Track, MediaPlaylist]]:
        return [(track, track.last) for track in self.tracks if track.last is not None]
