"""One light LL-HLS player: its tracks, its connections, its clock.

Invariant: each track has one reload and one part under way at most, asks for what is listed once
and in order, and an answer that a player could not use is a `BadAnswer`. Upstream: `players`, which
owns the poll and the counts. Downstream: `playback`, which knows what comes next.
"""

import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.hls_clients import BadAnswer, Connection
from tests.soak.playback import Following, ListedPart, Listings, Playhead

PATIENCE_S = 10.0
"""Without an answer for so long, a player gives up; a reload is held for 6 s at most."""
STAY_S = (60.0, 240.0)
CHANGE_S = (20.0, 60.0)
VIDEO, AUDIO = "video", "audio"
START_S = 10.0
"""Within this a player that joins plays."""
AUDIO_MORE_US = 500_000
"""Sound from a little before the picture, so that no picture waits for it."""

Answered = Callable[[int, bytes, int], None]


@dataclass(slots=True)
class Counts:
    """What all players saw since the last report."""

    playlists: int = 0
    parts: int = 0
    bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    """Blocking reloads that brought nothing new."""
    missed: int = 0
    gaps: int = 0
    stalls: int = 0
    stalled_ms: float = 0.0
    changes: int = 0
    joins: int = 0
    never: int = 0
    """Players that did not begin to play in time."""


class Crowd(Protocol):
    """What a player needs of the others."""

    folder: bytes
    audio: str | None
    random: random.Random
    listings: Listings
    counts: Counts
    ended: bool

    def request(self, path: bytes) -> bytes: ...
    def another(self, rendition: str) -> str: ...
    def open(self, track: "Track", answered: Answered, *, keep: bool) -> Connection: ...
    def forget(self, connection: Connection) -> None: ...


class Track:
    """One playlist of one player, over two connections."""

    def __init__(self, player: "Player", kind: str, following: Following) -> None:
        self.player, self._crowd, self._kind = player, player.crowd, kind
        self.following = following
        self._wanted: deque[ListedPart] = deque()
        self._fetching: ListedPart | None = None
        self._reloads = self._crowd.open(self, self._listed, keep=True)
        self._media = self._crowd.open(self, self._fetched, keep=False)
        self.asked: dict[Connection, float] = {}
        """When what is not answered yet was asked for."""

    @property
    def connections(self) -> tuple[Connection, Connection]:
        return self._reloads, self._media

    def reconnect(self, connection: Connection) -> bool:
        """Another in place of one that the server closed while it was idle, as it may."""
        if connection is not self._media or connection in self.asked:
            return False
        self._crowd.forget(connection)
        self._media = self._crowd.open(self, self._fetched, keep=False)
        return True

    def reload(self) -> None:
        query, next = b"", self.following.next
        if next is not None:
            query = b"?_HLS_msn=%d&_HLS_part=%d" % next
        path = self._crowd.folder + self.following.rendition.encode() + b".m3u8" + query
        self._ask(self._reloads, path)

    def _ask(self, connection: Connection, path: bytes) -> None:
        self.asked[connection] = time.monotonic()
        connection.ask(self._crowd.request(path))

    def _listed(self, status: int, body: bytes, size: int) -> None:
        self.asked.pop(self._reloads, None)
        counts = self._crowd.counts
        counts.playlists += 1
        counts.bytes += size
        if status != 200:
            raise BadAnswer(f"playlist: HTTP {status}")
        listing, before = self._crowd.listings.parsed(body), self.following.next
        rendition, missed, gaps = (
            self.following.rendition, self.following.missed, self.following.gaps,
        )  # fmt: skip
        self._wanted.extend(self.following.receive(listing))
        counts.missed += self.following.missed - missed
        counts.gaps += self.following.gaps - gaps
        counts.changes += self.following.rendition != rendition
        counts.stale += before is not None and self.following.next == before
        if before is None and self._kind == VIDEO:
            self.player.playhead.start_us = self.following.start_us
        self._fetch()
        if listing.ended:
            self._crowd.ended = True
        else:
            self.reload()

    def _fetch(self) -> None:
        if self._fetching is None and self._wanted:
            self._fetching = self._wanted.popleft()
            self._ask(self._media, self._crowd.folder + self._fetching.uri)

    def _fetched(self, status: int, _: bytes, size: int) -> None:
        self.asked.pop(self._media, None)
        counts = self._crowd.counts
        counts.parts += 1
        counts.bytes += size
        if status != 200 or self._fetching is None:
            raise BadAnswer(f"part: HTTP {status}")
        self.player.arrived(self._kind, self._fetching)
        self._fetching = None
        self._fetch()


class Player:
    """One viewer, from its joining to its leaving."""

    def __init__(self, crowd: Crowd, rendition: str) -> None:
        self.crowd = crowd
        self.playhead = Playhead((VIDEO, AUDIO) if crowd.audio else (VIDEO,))
        self.tracks = [Track(self, VIDEO, Following(rendition))]
        if crowd.audio:
            self.tracks.append(Track(self, AUDIO, Following(crowd.audio, AUDIO_MORE_US)))
        now = time.monotonic()
        self.joined_at: float | None = now
        """None: whether it has begun in time is known."""
        self.leaves_at = now + crowd.random.uniform(*STAY_S)
        self.changes_at = now + crowd.random.uniform(*CHANGE_S)
        for track in self.tracks:
            track.reload()

    def arrived(self, kind: str, part: ListedPart) -> None:
        playhead, counts = self.playhead, self.crowd.counts
        stalls, stalled_us = playhead.stalls, playhead.stalled_us
        playhead.receive(kind, part, time.time_ns() // 1000)
        counts.stalls += playhead.stalls - stalls
        counts.stalled_ms += (playhead.stalled_us - stalled_us) / 1000

    def look(self, now: float) -> None:
        """Change the rendition when it is time; give up when nothing comes."""
        if now >= self.changes_at:
            self.changes_at = now + self.crowd.random.uniform(*CHANGE_S)
            self.tracks[0].following.wanted = self.crowd.another(self.tracks[0].following.rendition)
        if self.joined_at is not None and now - self.joined_at > START_S:
            self.joined_at = None
            self.crowd.counts.never += not self.playhead.playing
        if any(now - at > PATIENCE_S for track in self.tracks for at in track.asked.values()):
            raise BadAnswer(f"no answer within {PATIENCE_S:g} s")
