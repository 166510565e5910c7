"""A low-latency HLS player without a screen: fetches, decodes, and keeps a playback clock.

Invariant: it starts PART-HOLD-BACK from the end of the playlist (RFC 8216bis §4.4.3.8), as a
browser's player does, catches up what its start has cost as such a player does, and never shows a
frame before it was decoded and its audio had arrived.
Upstream: any LL-HLS URL. Downstream: `report`, with the barcode of every shown frame.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2

from infra.demo.barcode import Stamp
from infra.demo.decoding import VideoDecoder
from infra.demo.errors import MediaError
from infra.demo.fragments import samples, timescale
from infra.demo.m3u8 import MediaPlaylist, parse_multivariant
from infra.demo.presentation import Presentation, Shown, Stall
from infra.demo.rendition import Rendition, get, starting_place

NS = 1_000_000_000
# A blocking reload is held for up to three target durations.
TIMEOUT = httpx2.Timeout(5.0, read=40.0)


@dataclass(frozen=True, slots=True)
class Viewing:
    """What one viewer saw."""

    shown: Sequence[Shown]
    stalls: Sequence[Stall]
    skipped_parts: int
    hold_back_ms: int

    def glass_to_glass_ms(self, quantile: float) -> float | None:
        """Nearest-rank quantile over the shown frames with a readable barcode."""
        delays = sorted(ms for frame in self.shown if (ms := frame.glass_to_glass_ms) is not None)
        return nearest_rank(delays, quantile)


def nearest_rank(ordered: Sequence[float], quantile: float) -> float | None:
    """The smallest value that at least `quantile` of all values do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]


class Player:
    """One viewing of one LL-HLS URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._presentation: Presentation | None = None
        self._newest = -1
        self._received = asyncio.Event()

    @property
    def shown_frames(self) -> int:
        return len(self._presentation.shown) if self._presentation else 0

    async def until_frame(self, index: int) -> None:
        """Returns once a frame with this number, or a later one, was read from the stream."""
        while self._newest < index:
            self._received.clear()
            await self._received.wait()

    async def watch(self) -> Viewing:
        """Play from now until the stream ends."""
        async with httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            variant = parse_multivariant((await get(client, self._url)).text)[0]
            video = Rendition(client, urljoin(self._url, variant.video))
            audio = Rendition(client, urljoin(self._url, variant.audio)) if variant.audio else None
            playlist, meant_ns = await video.load(), time.time_ns()
            if not playlist.part_hold_back_ns:
                raise MediaError(f"{self._url} has no PART-HOLD-BACK: this is no low-latency HLS")
            started: asyncio.Future[Presentation] = asyncio.get_running_loop().create_future()
            has_audio = audio is not None
            try:
                async with asyncio.TaskGroup() as group:
                    listening = audio and group.create_task(self._audio(audio, started))
                    await self._video(video, playlist, started, meant_ns, has_audio=has_audio)
                    if listening and not started.done():
                        listening.cancel()
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
        presentation = self._presentation
        if presentation is None:
            raise MediaError(f"{self._url} ended before anything could be shown")
        presentation.finish()
        skipped = video.skipped + (audio.skipped if audio else 0)
        hold_back_ms = playlist.part_hold_back_ns // 1_000_000
        return Viewing(presentation.shown, presentation.stalls, skipped, hold_back_ms)

    async def _video(
        self,
        rendition: Rendition,
        playlist: MediaPlaylist,
        started: "asyncio.Future[Presentation]",
        meant_ns: int,
        *,
        has_audio: bool,
    ) -> None:
        place = starting_place(playlist, playlist.part_hold_back_ns)
        decoder, decoder_init, scale = None, "", 1
        async for item in rendition.follow(playlist, place):
            if decoder is None or item.init_uri != decoder_init:
                if decoder and self._presentation:
                    self._show(self._presentation, decoder.flush(), scale)
                decoder, decoder_init = VideoDecoder(item.init), item.init_uri
                scale = timescale(item.init)
            found = samples(item.data)
            if self._presentation is None:
                start_ns = found[0].presentation_time * NS // scale + place.before_start_ns
                self._presentation = Presentation(start_ns, has_audio=has_audio, meant_ns=meant_ns)
                started.set_result(self._presentation)
            frames = await asyncio.to_thread(decoder.decode, found)
            self._show(self._presentation, frames, scale)
        if decoder and self._presentation:
            self._show(self._presentation, decoder.flush(), scale)

    def _show(
        self, presentation: Presentation, frames: list[tuple[int, Stamp | None]], scale: int
    ) -> None:
        now_ns = time.time_ns()
        for presentation_time, stamp in frames:
            if stamp is not None:
                self._newest = max(self._newest, stamp.index)
            presentation.receive_video(presentation_time * NS // scale, stamp, now_ns)
        self._received.set()

    @staticmethod
    async def _audio(rendition: Rendition, started: "asyncio.Future[Presentation]") -> None:
        presentation = await started
        playlist = await rendition.load()
        # From a little before the hold-back, so that no frame waits for audio that was left out.
        place = starting_place(playlist, playlist.part_hold_back_ns + NS // 2)
        async for item in rendition.follow(playlist, place):
            if found := samples(item.data):
                until = found[-1].presentation_time + found[-1].duration
                presentation.receive_audio(until * NS // timescale(item.init), time.time_ns())
