"""Follows one media playlist as a low-latency player does and fetches its parts in order.

Invariant: parts are yielded in order, each once; what the playlist no longer lists is skipped and
counted, never waited for. Blocking reload (RFC 8216bis §6.2.5.2) is the only waiting. Upstream: an
LL-HLS origin over HTTP. Downstream: `player`, `switching`.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2

from infra.demo.errors import MediaError
from infra.demo.m3u8 import MediaPlaylist, Segment, parse_media

RETRIES = 5
RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class Fetched:
    """One part, or one whole segment where its parts are no longer listed."""

    init: bytes
    init_uri: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a playlist playback starts to fetch."""

    msn: int
    part: int
    before_start_ns: int
    """From the beginning of that part to the position that playback starts at."""


async def get(client: httpx2.AsyncClient, url: str) -> httpx2.Response:
    """GET with a few retries of what a live origin may answer for a moment."""
    for attempt in range(RETRIES):
        try:
            response = await client.get(url)
        except httpx2.TransportError as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            if response.status_code == httpx2.codes.OK:
                return response
            problem = f"status {response.status_code}: {response.text[:200]}"
            if response.status_code not in (404, 429, 502, 503, 504):
                break
        await asyncio.sleep(RETRY_S * (attempt + 1))
    raise MediaError(f"GET {url} failed: {problem}")


def starting_place(playlist: MediaPlaylist, back_ns: int) -> Place:
    """The last independent part at or before `back_ns` from the playlist's end (§4.4.3.8)."""
    wanted = playlist.duration_ns - back_ns
    best: Place | None = None
    position = 0
    for segment in playlist.segments:
        at = position
        for number, part in enumerate(segment.parts):
            if part.independent and not part.gap and (best is None or at <= wanted):
                best = Place(segment.msn, number, max(0, wanted - at))
            at += part.duration_ns
        whole = not segment.parts and segment.uri is not None and not segment.gap
        if whole and (best is None or position <= wanted):
            best = Place(segment.msn, 0, max(0, wanted - position))
        position += segment.duration_ns
    if best is None:
        raise MediaError("the playlist lists no part that playback can start from")
    return best


class Rendition:
    """One media playlist and the cursor of one player in it."""

    def __init__(self, client: httpx2.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url
        self._inits: dict[str, bytes] = {}
        self.skipped = 0
        """Parts that left the playlist before they were fetched."""
        self.gaps = 0
        """Parts, or segments without any, that the playlist owned to have lost."""

    async def load(self) -> MediaPlaylist:
        """The playlist as it is now."""
        return parse_media((await get(self._client, self._url)).text)

    async def follow(
        self, playlist: MediaPlaylist, place: Place, until: int | None = None
    ) -> AsyncIterator[Fetched]:
        """Everything from `place` on, before segment `until` where given, until the end."""
        msn, part = place.msn, place.part
        end = math.inf if until is None else until
        while msn < end:
            for segment in playlist.segments:
                if segment.msn < msn:
                    continue
                if segment.msn >= end:
                    return
                if segment.msn > msn:
                    # The segment that was due is no longer listed.
                    self.skipped += segment.msn - msn
                    msn, part = segment.msn, 0
                for uri in self._due(segment, part):
                    if uri is None:
                        self.gaps += 1
                    else:
                        yield await self._fetch(segment, uri)
                if segment.uri is None:
                    part = max(part, len(segment.parts))
                else:
                    msn, part = segment.msn + 1, 0
            if playlist.ended or msn >= end:
                return
            playlist = await self.reload(msn, part)

    def _due(self, segment: Segment, part: int) -> list[str | None]:
        """URIs of a segment still to be fetched from its part number `part` on; None: lost."""
        if segment.parts:
            return [None if one.gap else one.uri for one in segment.parts[part:]]
        if segment.gap:
            return [None]
        if part == 0 and segment.uri is not None:
            return [segment.uri]
        self.skipped += 1
        return []

    async def _fetch(self, segment: Segment, uri: str) -> Fetched:
        if segment.init is None:
            raise MediaError(f"segment {segment.msn} has no EXT-X-MAP")
        init_uri = urljoin(self._url, segment.init)
        if init_uri not in self._inits:
            self._inits[init_uri] = (await get(self._client, init_uri)).content
        data = (await get(self._client, urljoin(self._url, uri))).content
        return Fetched(self._inits[init_uri], init_uri, data)

    async def reload(self, msn: int, part: int | None = None) -> MediaPlaylist:
        """Blocking reload: the answer comes when that part, segment, or the end, exists."""
        separator = "&" if "?" in self._url else "?"
        url = f"{self._url}{separator}_HLS_msn={msn}"
        if part is not None:
            url += f"&_HLS_part={part}"
        return parse_media((await get(self._client, url)).text)
