"""A player that changes renditions while it plays, and looks closely at the seams.

Invariant: it plays segment after segment without leaving one out, each from one rendition, part by
part as they come, and decodes all of it; a change is a new decoder at the first picture of a
segment, as in a browser. Upstream: any LL-HLS URL with more than one variant. Downstream: `ladder`.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2

from infra.demo.barcode import Stamp
from infra.demo.decoding import VideoDecoder
from infra.demo.errors import MediaError
from infra.demo.fragments import Sample, samples, timescale
from infra.demo.ladder import SOURCE, Continuity, Picture, Switching, name_of
from infra.demo.m3u8 import NS, MediaPlaylist, parse_multivariant
from infra.demo.player import TIMEOUT
from infra.demo.rendition import Fetched, Place, Rendition, get

LEG = 1
"""Segments of one rendition before the next change."""


@dataclass(slots=True)
class _Decoding:
    """One rendition's decoder, from one change to the next."""

    decoder: VideoDecoder
    init_uri: str
    scale: int
    durations: dict[int, int]
    """Of the coded pictures that are not out yet, by presentation time."""

    def decode(self, found: list[Sample]) -> list[Picture]:
        self.durations |= {one.presentation_time: one.duration for one in found}
        return self._pictures(self.decoder.decode(found))

    def flush(self) -> list[Picture]:
        return self._pictures(self.decoder.flush())

    def _pictures(self, frames: list[tuple[int, Stamp | None]]) -> list[Picture]:
        return [
            Picture(at * NS // self.scale, self.durations.pop(at, 0) * NS // self.scale, stamp)
            for at, stamp in frames
        ]


class SwitchingPlayer:
    """One viewing that goes from the source to each rung and back."""

    def __init__(self, url: str, fps: int) -> None:
        self._url = url
        self._continuity = Continuity(fps)
        self._path: list[str] = []
        self._coded = 0
        self._decoding: _Decoding | None = None
        self._renditions: dict[str, Rendition] = {}
        self._shown_after = 0
        """What had been lost when the newest part was shown."""

    @property
    def _lost(self) -> int:
        """Parts that were listed as lost, or no longer, where it wanted to play them."""
        return sum(one.gaps + one.skipped for one in self._renditions.values())

    async def play(self) -> Switching:
        """Through every rung and back to the source, or until the programme ends."""
        async with httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            variants = parse_multivariant((await get(client, self._url)).text)
            for variant in variants:
                playlist = Rendition(client, urljoin(self._url, variant.video))
                self._renditions[name_of(variant, variants[0])] = playlist
            msn = _first_whole(await self._renditions[SOURCE].load())
            for name in _legs([name for name in self._renditions if name != SOURCE]):
                if not await self._leg(name, msn):
                    break
                msn += LEG
            self._close()
        continuity = self._continuity
        return Switching(
            tuple(self._path),
            self._coded,
            continuity.pictures,
            continuity.max_discontinuity_ms,
            continuity.out_of_step,
            self._lost,
        )

    async def _leg(self, name: str, msn: int) -> bool:
        """Play from the beginning of a segment; False: the programme has ended before."""
        rendition, played, lost = self._renditions[name], False, self._lost
        async for item in rendition.follow(await rendition.load(), Place(msn, 0, 0), msn + LEG):
            if self._path[-1:] != [name]:
                self._path.append(name)
            await self._show(item, after_gap=self._lost > self._shown_after)
            played, self._shown_after = True, self._lost
        return played or self._lost > lost

    async def _show(self, item: Fetched, *, after_gap: bool) -> None:
        found = samples(item.data)
        self._coded += len(found)
        if self._decoding is None or self._decoding.init_uri != item.init_uri:
            self._close()
            decoder = VideoDecoder(item.init)
            self._decoding = _Decoding(decoder, item.init_uri, timescale(item.init), {})
        pictures = await asyncio.to_thread(self._decoding.decode, found)
        self._receive(pictures, after_gap=after_gap)

    def _close(self) -> None:
        """The last pictures of a decoder come out, and it goes."""
        if self._decoding is not None:
            self._receive(self._decoding.flush(), after_gap=False)
            self._decoding.decoder.close()
            self._decoding = None

    def _receive(self, pictures: list[Picture], *, after_gap: bool) -> None:
        for number, picture in enumerate(pictures):
            self._continuity.receive(picture, after_gap=after_gap and number == 0)


def _legs(rungs: list[str]) -> Iterator[str]:
    yield SOURCE
    for rung in rungs:
        yield rung
        yield SOURCE


def _first_whole(playlist: MediaPlaylist) -> int:
    """The oldest segment that can be played."""
    for segment in playlist.segments:
        if not segment.gap:
            return segment.msn
    raise MediaError("the source lists no segment that can be played")
