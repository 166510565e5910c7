"""Follows one media playlist as a player does, and asks for the media at chosen moments.

Invariant: what is kept is bounded: tasks by `MAX_TASKS`, versions by the owner, who calls `trim`.
Every other part is asked for as soon as it is hinted, the rest when they are listed. Upstream:
`observe`. Downstream: `client`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from conformance.boxes import BoxError, Init, read_fragments, read_init
from conformance.client import Client, with_query
from conformance.observation import Fetched, Probe, Track, Version
from conformance.playlist import MediaPlaylist, Segment
from conformance.reading import read_media

MAX_TASKS = 64
EARLY_S = 0.3
"""A file that must still be there until a moment is asked for this much earlier."""
FAILURES = 20
PAUSE_S = 0.5


def next_position(playlist: MediaPlaylist) -> tuple[int, int | None]:
    """What comes after all that is listed."""
    if playlist.part_target is None:
        return playlist.open.msn, None
    return playlist.open.msn, len(playlist.open.parts)


class Watch:
    def __init__(self, client: Client, uri: str, url: str, kind: str) -> None:
        self.uri, self.url, self.kind = uri, url, kind
        self.versions: list[Version] = []
        self.fetched: list[Fetched] = []
        self.probes: list[Probe] = []
        self.on_version: Callable[[], None] = lambda: None
        self.moved = asyncio.Event()
        """Set at every version."""
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()
        self._inits: dict[str, asyncio.Future[Init | None]] = {}
        self._known: dict[Segment, Segment] = {}
        self._asked: dict[str, None] = {}
        self._first: dict[str, float] = {}
        self._longest_s = 0.0

    @property
    def track(self) -> Track:
        return Track(
            self.uri, self.url, self.kind,
            tuple(self.versions), tuple(self.fetched), tuple(self.probes),
        )  # fmt: skip

    @property
    def last(self) -> MediaPlaylist | None:
        return self.versions[-1].playlist if self.versions else None

    def trim(self) -> None:
        """Forget what has been judged; what comes is compared with the last version."""
        del self.versions[:-1]
        self.fetched[:] = [one for one in self.fetched if one.kind == "init"][-16:]
        self.probes.clear()
        for known in (self._asked, self._first):
            for old in list(known)[:-2000]:
                del known[old]

    async def follow(self) -> None:
        """Until the playlist ends, or does not come any more."""
        failures = 0
        try:
            while failures < FAILURES:
                version = await self.reload()
                if version is None:
                    failures += 1
                    await asyncio.sleep(PAUSE_S)
                    continue
                failures = 0
                if version.playlist.ended:
                    return
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reload(self) -> Version | None:
        """One request for the next version; None if none came."""
        last, wanted = self.last, None
        blocks = last is not None and last.control.yes("CAN-BLOCK-RELOAD")
        if last is not None and blocks:
            wanted = next_position(last)
        elif last is not None:
            await asyncio.sleep(last.part_target or (last.target_duration or 1) / 2)
        url = self.url
        if wanted is not None:
            url = with_query(url, _HLS_msn=wanted[0], _HLS_part=wanted[1])
        exchange, body = await self._client.ask(url)
        if exchange.status != 200:
            self.probes.append(Probe("reload", exchange, last.edge if last else (-1, -1)))
            return None
        playlist = self._shared(read_media(body.decode("utf-8", "replace")))
        version = Version(exchange, playlist, wanted)
        before = self.versions[-1] if self.versions else None
        self.versions.append(version)
        self._take(before, version)
        self.moved.set()
        self.on_version()
        if wanted is not None and last is not None and playlist.edge <= last.edge:
            await asyncio.sleep(PAUSE_S / 5)  # it says that it blocks, and does not
        return version

    def _shared(self, playlist: MediaPlaylist) -> MediaPlaylist:
        """Segments that were seen before are the same objects: versions are small."""
        known = {s: self._known.get(s, s) for s in playlist.segments}
        self._known = known
        return replace(playlist, segments=tuple(known[s] for s in playlist.segments))

    # -- what to ask for ---------------------------------------------------------------------

    def _take(self, before: Version | None, version: Version) -> None:
        playlist, now = version.playlist, version.exchange.done_s
        previous = None if before is None else before.playlist
        # What changed did so after the version before was made, which was after it was asked for:
        # the earliest moment counts.
        since = now if before is None else before.exchange.asked_s
        self._longest_s = max(self._longest_s, playlist.duration)
        self._segments(previous, playlist, since)
        if previous is not None:
            self._parts(previous, playlist)
            self._gone(previous, playlist, since, now)
        hint = playlist.hint()
        if hint is not None and hint not in self._asked and (playlist.edge[1] % 2 or not previous):
            self._ask("hint", hint, playlist.open.msn, len(playlist.open.parts), playlist.open.map)

    def _segments(
        self, previous: MediaPlaylist | None, playlist: MediaPlaylist, since: float
    ) -> None:
        new = playlist.segments[-2:] if previous is None else playlist.segments
        for segment in new:
            uri = segment.uri or ""
            if previous is None or uri in self._first or segment.msn < previous.open.msn:
                if previous is None:
                    self._ask_segment(segment)
                continue
            self._first[uri] = since
            self._ask_segment(segment)

    def _ask_segment(self, segment: Segment) -> None:
        if not segment.gap and segment.byterange is None and segment.uri is not None:
            self._ask("segment", segment.uri, segment.msn, -1, segment.map)

    def _parts(self, previous: MediaPlaylist, playlist: MediaPlaylist) -> None:
        for segment, index, part in playlist.parts:
            new = (segment.msn, index) > previous.edge
            if new and part.uri not in self._asked and not part.gap and part.byterange is None:
                self._ask("part", part.uri, segment.msn, index, segment.map)

    def _gone(
        self, previous: MediaPlaylist, playlist: MediaPlaylist, since: float, now: float
    ) -> None:
        """What left the playlist is asked for again just before it may go."""
        listed = {segment.msn: segment for segment in playlist.all_segments}
        for segment in previous.segments:
            after = listed.get(segment.msn)
            there = [part for part in segment.parts if not part.gap and part.byterange is None]
            if there and (after is None or not after.parts):
                until = since + 3 * (playlist.target_duration or 0)
                if until - EARLY_S > now:
                    self._later("removed part", there[-1].uri, segment, until)
            first = self._first.get(segment.uri or "")
            if after is None and first is not None and not segment.gap:
                until = first + segment.length + self._longest_s
                if until - EARLY_S > now:
                    self._later("kept segment", segment.uri or "", segment, until)

    # -- asking ------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it could be begun."""
        if len(self._tasks) >= MAX_TASKS:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _ask(self, kind: str, uri: str, msn: int, part: int, map: str | None) -> None:
        if map is not None and map not in self._inits:
            init = asyncio.get_running_loop().create_future()
            if not self._spawn(self._fetch_init(map, init)):
                return  # who asks next tries again: none may wait for what nobody fetches
            self._inits[map] = init
        if self._spawn(self._fetch(kind, uri, msn, part, map)):
            self._asked[uri] = None

    def _later(self, kind: str, uri: str, segment: Segment, until_s: float) -> None:
        async def work() -> None:
            await asyncio.sleep(until_s - EARLY_S - self._client.now)
            exchange, _ = await self._client.ask(self.track_url(uri))
            found = Fetched(kind, exchange, uri, segment.msn, until_s=until_s)
            self.fetched.append(found)

        self._spawn(work())

    def track_url(self, uri: str) -> str:
        return Track(self.uri, self.url, self.kind).absolute(uri)

    async def _fetch_init(self, map: str, fetched: "asyncio.Future[Init | None]") -> None:
        init, trouble = None, ""
        try:
            exchange, body = await self._client.ask(self.track_url(map))
            try:
                init = read_init(body) if exchange.status == 200 else None
            except BoxError as error:
                trouble = str(error)
            self.fetched.append(Fetched("init", exchange, map, init=init, unreadable=trouble))
        finally:
            fetched.set_result(init)

    async def _fetch(self, kind: str, uri: str, msn: int, part: int, map: str | None) -> None:
        exchange, body = await self._client.ask(self.track_url(uri))
        init = await asyncio.shield(self._inits[map]) if map is not None else None
        found = Fetched(kind, exchange, uri, msn, part, map=map)
        if exchange.status == 200 and init is not None:
            try:
                found = replace(found, runs=read_fragments(body, init))
            except BoxError as error:
                found = replace(found, unreadable=str(error))
        self.fetched.append(found)
