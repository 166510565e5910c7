"""Readings of the media nodes, to whoever looks after an event.

Invariant: a listener gets the newest readings of its project; one that is slow loses the oldest
that wait for it, and holds up nobody. The bus keeps the history, so every control process has the
same and a restart loses none of it; while the bus is away there are no readings, and everything
else goes on.

Upstream: `infra.events.readings`. Downstream: `routes.overview`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog
from redis.asyncio import Redis

from infra.control.links import FEED
from infra.control.problems import Unavailable
from infra.errors import BusUnavailable
from infra.events import readings as bus
from infra.events.bus import MAX_BLOCK_MS, Backoff, bus_errors
from infra.events.readings import CHANNEL, Reading

_log = structlog.get_logger(__name__)
QUEUED = 64
"""Readings that may wait for one listener."""
MOST = 1_000
"""Listeners of a process."""
MOST_OF_PROJECT = 100
LIFE_S = 3_600.0
"""A listener comes back after this."""


class ReadingListener:
    """One client that follows the readings of a project."""

    def __init__(self, project: str) -> None:
        self.project = project
        self._queue: asyncio.Queue[Reading | None] = asyncio.Queue(QUEUED)
        self._life = asyncio.get_running_loop().call_later(LIFE_S, self.end)

    def offer(self, reading: Reading | None) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(reading)

    def end(self) -> None:
        self._life.cancel()
        self.offer(None)

    def refuse(self) -> None:
        """Its key opens nothing any more, and it gets nothing of what waits for it."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self.end()

    async def next(self) -> Reading | None:
        """None: there are no more."""
        return await self._queue.get()


class Readings:
    """The readings of all projects; one `run()`. Without a client there are none."""

    def __init__(self, client: Redis | None = None) -> None:
        self._client = client
        self._listeners: defaultdict[str, set[ReadingListener]] = defaultdict(set)

    async def run(self) -> None:
        """Until cancelled, through outages of the bus."""
        backoff = Backoff()
        while self._client is not None:
            try:
                await self._follow(self._client, backoff)
            except (BusUnavailable, UnicodeDecodeError) as error:
                _log.debug("no readings from the bus", problem=str(error))
                await asyncio.sleep(backoff.pause())

    async def _follow(self, client: Redis, backoff: Backoff) -> None:
        async with client.pubsub() as channel:
            async with bus_errors():
                await channel.subscribe(CHANNEL)
            while True:
                async with bus_errors():
                    message = await channel.get_message(
                        ignore_subscribe_messages=True, timeout=MAX_BLOCK_MS / 1000
                    )
                backoff.reset()
                if message is not None and self._listeners:
                    self.hear(message["data"])

    def hear(self, raw: str) -> None:
        """What a node told."""
        reading = bus.parse(raw)
        if reading is not None and reading.feed == FEED:
            for listener in self._listeners.get(reading.project, ()):
                listener.offer(reading)

    def join(self, project: str) -> ReadingListener:
        everybody = sum(len(some) for some in self._listeners.values())
        if everybody >= MOST or len(self._listeners.get(project, ())) >= MOST_OF_PROJECT:
            raise Unavailable(
                "too many clients follow the readings already",
                "Close those that nobody looks at; one connection carries all events.",
            )
        listener = ReadingListener(project)
        self._listeners[project].add(listener)
        return listener

    def leave(self, listener: ReadingListener) -> None:
        listener.end()
        some = self._listeners.get(listener.project, set())
        some.discard(listener)
        if not some:
            self._listeners.pop(listener.project, None)

    def close(self) -> None:
        """End every listener: the process stops."""
        for some in self._listeners.values():
            for listener in some:
                listener.end()

    async def kept(self, project: str, event: str, since_ms: int) -> Sequence[Reading]:
        """Of an event, oldest first."""
        if self._client is None:
            return []
        try:
            return await bus.kept(self._client, project, event, FEED, since_ms)
        except BusUnavailable as error:
            raise Unavailable(
                "the bus does not answer, so there are no readings",
                "Repeat the request in a few seconds; events that run are not affected.",
            ) from error

    async def newest(self, project: str, events: Sequence[str]) -> Mapping[str, Reading] | None:
        """Event -> its last reading; None: the bus does not answer."""
        if self._client is None:
            return {}
        try:
            return await bus.newest(self._client, project, events, FEED)
        except BusUnavailable:
            return None
