"""Follows the playlists of every rendition from the start of a programme to its end.

Invariant: each complete segment of each rendition is kept once, as it was first listed; one
rendition that breaks off costs no other. Blocking reload, a segment at a time, is the only waiting
beside the look for renditions that begin later than the source. Upstream: any LL-HLS URL.
Downstream: `ladder`.
"""

import asyncio
from collections.abc import Collection
from urllib.parse import urljoin

import httpx2

from infra.demo.errors import MediaError
from infra.demo.ladder import RenditionSeen, name_of
from infra.demo.m3u8 import MediaPlaylist, parse_multivariant
from infra.demo.player import TIMEOUT
from infra.demo.rendition import Rendition, get

LOOK_S = 1.0


class LadderWatch:
    """One event's renditions, the source among them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = asyncio.Event()
        """One rendition has ended, so the programme has."""
        self._changed = asyncio.Event()
        self.renditions: dict[str, RenditionSeen] = {}
        """By name; filled in as the programme goes on."""

    async def until_listed(self, names: Collection[str]) -> None:
        """Returns once all of these are listed, or the programme has ended."""
        while not (self._over.is_set() or self.renditions.keys() >= set(names)):
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Until the programme ends."""
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            while not self._over.is_set():
                await self._look(client, group)
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._over.wait()
                except TimeoutError:
                    continue

    async def _look(self, client: httpx2.AsyncClient, group: asyncio.TaskGroup) -> None:
        """Take what the multivariant playlist says now; follow what is new in it."""
        variants = parse_multivariant((await get(client, self._url)).text)
        for variant in variants:
            name = name_of(variant, variants[0])
            if seen := self.renditions.get(name):
                seen.variant = variant
                continue
            self.renditions[name] = seen = RenditionSeen(name, variant)
            playlist = Rendition(client, urljoin(self._url, variant.video))
            group.create_task(self._follow(playlist, seen))
        self._changed.set()

    async def _follow(self, rendition: Rendition, seen: RenditionSeen) -> None:
        try:
            playlist = await rendition.load()
            while not playlist.ended:
                playlist = await rendition.reload(_take(seen, playlist))
            _take(seen, playlist)
            self._over.set()
            self._changed.set()
        except MediaError as error:
            seen.failure = str(error)


def _take(seen: RenditionSeen, playlist: MediaPlaylist) -> int:
    """Keep the new complete segments; the number of the one that is open."""
    for segment in playlist.segments:
        if segment.uri is not None:
            seen.segments.setdefault(segment.msn, segment)
    return max(seen.segments, default=-1) + 1
