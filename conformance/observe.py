"""Watches a programme for a while and hands out what it saw.

Invariant: what is held is bounded: once a playlist has `MAX_VERSIONS`, the observation so far is
handed to `judged` and forgotten. Every task belongs to one TaskGroup. Upstream: `command`.
Downstream: `watch`, `probes`, `client`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urljoin

from conformance.client import Client
from conformance.errors import ConformanceError
from conformance.observation import Exchange, Observation
from conformance.playlist import Multivariant
from conformance.probes import Probing
from conformance.variants import is_multivariant, read_multivariant
from conformance.watch import Watch

MAX_TRACKS = 12
MAX_VERSIONS = 1500
LATE_S = 5.0
"""How long before the end what needs a grown playlist is probed."""
AGAIN_S = 60.0
"""When watching until the end, that is probed as often."""
TICK_S = 0.02
LONGEST_S = 24 * 3600.0


class Observer:
    """One observation; `run` gives the last stretch of it."""

    def __init__(
        self,
        client: Client,
        url: str,
        *,
        seconds: float,
        until_end: bool = False,
        judged: Callable[[Observation], None] = lambda seen: None,
        progress: Callable[[float, str], None] = lambda done, words: None,
    ) -> None:
        self._client = client
        self._url = url
        self._seconds = seconds
        self._until_end = until_end
        self._judged = judged
        self._progress = progress
        self._watches: list[Watch] = []
        self._requests: list[Exchange] = []
        self._seen = Observation(url, Exchange(url, 0, 0, 0, 0, 0))
        self._lag_s = 0.0

    async def run(self) -> Observation:
        await self._open()
        limit = LONGEST_S if self._until_end else self._seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._watch()
        if all(watch.last is None for watch in self._watches):
            raise ConformanceError(self._why_nothing())
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                for watch in self._watches:
                    await Probing(self._client, watch).ended()
        return self._snapshot()

    async def _open(self) -> None:
        exchange, body = await self._client.ask(self._url)
        if exchange.status != 200:
            raise ConformanceError(_why_not(exchange))
        text = body.decode("utf-8", "replace")
        if not text.lstrip("\ufeff").startswith("#EXT"):
            raise ConformanceError(f"{self._url} is no HLS playlist; give the multivariant's URL")
        found: Multivariant | None = None
        tracks = [(self._url, self._url, "video")]
        if is_multivariant(text):
            found = read_multivariant(text)
            audio = {one.quoted("URI") for one in found.renditions}
            tracks = [
                (uri, urljoin(self._url, uri), "audio" if uri in audio else "video")
                for uri in found.uris[:MAX_TRACKS]
            ]
        if not tracks:
            raise ConformanceError(f"{self._url} names no media playlist")
        self._watches = [Watch(self._client, *track) for track in tracks]
        for watch in self._watches:
            watch.on_version = self._fold
        protocol = await self._client.protocol(self._url)
        self._seen = Observation(self._url, exchange, found, protocol=protocol)

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(self._show()), tasks.create_task(self._measure_lag())]
            for watch in self._watches:
                probing = Probing(self._client, watch)
                beside.append(tasks.create_task(probing.directives()))
                beside.append(tasks.create_task(self._probe_late(probing)))
            beside.append(tasks.create_task(self._heads()))
            await asyncio.gather(*(watch.follow() for watch in self._watches))
            for task in beside:
                task.cancel()

    async def _heads(self) -> None:
        for watch in self._watches:
            self._requests += await Probing(self._client, watch).heads()

    async def _probe_late(self, probing: Probing) -> None:
        await asyncio.sleep(max(self._seconds - LATE_S, self._seconds / 2))
        await probing.late()
        while self._until_end:
            await asyncio.sleep(AGAIN_S)
            await probing.late()

    async def _show(self) -> None:
        while True:
            versions = sum(len(watch.versions) for watch in self._watches)
            files = sum(len(watch.fetched) for watch in self._watches)
            words = f"{versions} playlist versions, {files} files"
            self._progress(min(self._client.now / self._seconds, 1.0), words)
            await asyncio.sleep(0.5)

    async def _measure_lag(self) -> None:
        while True:
            before = self._client.now
            await asyncio.sleep(TICK_S)
            self._lag_s = max(self._lag_s, self._client.now - before - TICK_S)

    def _fold(self) -> None:
        if all(len(watch.versions) < MAX_VERSIONS for watch in self._watches):
            return
        self._judged(self._snapshot())
        for watch in self._watches:
            watch.trim()
        self._requests.clear()

    def _snapshot(self) -> Observation:
        return replace(
            self._seen,
            tracks=tuple(watch.track for watch in self._watches),
            requests=tuple(self._requests),
            lag_s=self._lag_s,
        )

    def _why_nothing(self) -> str:
        for watch in self._watches:
            for probe in watch.probes:
                return f"no media playlist came: {_why_not(probe.exchange)}"
        return f"no media playlist of {self._url} came; is something on the air?"


def _why_not(exchange: Exchange) -> str:
    if "CERTIFICATE" in exchange.trouble.upper():
        return f"{exchange.url}: {exchange.trouble}; for a self-signed one add --insecure"
    if not exchange.status:
        return f"{exchange.url}: {exchange.trouble}; is the server running and the port right?"
    if exchange.status in (401, 403):
        return f"{exchange.url}: HTTP {exchange.status}; put the viewer's token into the URL"
    return f"{exchange.url}: HTTP {exchange.status}; is something on the air?"
