"""Public events to clients that listen, as they are numbered.

Invariant: a listener gets every message of its project behind the number that it named, in order,
or its stream ends and it goes on from the last number that it has. One task reads for all listeners
of a process: a query for the heads of the projects that anybody listens to, then the new messages
of those that moved, whatever the number of listeners. A listener that does not take its messages
holds a bounded queue and is let go when that is full.

Upstream: `infra.outbox` (this process's relay rings, others' messages are found by looking).
Downstream: `routes.stream`.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from infra.control.problems import Unavailable
from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.events.bus import Backoff
from infra.outbox.message import Message
from infra.outbox.reading import after, first_kept, heads

_log = structlog.get_logger(__name__)
_LISTENERS = Gauge("livepath_stream_listeners", "Clients that listen to the stream of events.")
QUEUED = 256
"""Messages that may wait for one listener."""
PAGE = 200
MOST = 1_000
"""Listeners of a process."""
MOST_OF_PROJECT = 100
LIFE_S = 3_600.0
"""A stream ends after this: its listener comes back with its number."""


class Listener:
    """One client's place in the stream of a project."""

    def __init__(self, project: str, sequence: int) -> None:
        self.project = project
        self.sequence = sequence
        """The last number that it was given, or passed over."""
        self.missed = False
        """Messages behind that number had been tidied away when it came."""
        self.refused = False
        """Its key opens nothing any more."""
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUED)
        self._dropped = False
        self._life = asyncio.get_running_loop().call_later(LIFE_S, self.end)

    def offer(self, message: Message) -> bool:
        """False: it is too slow, and its stream ends with what it has."""
        if self._dropped:
            return False
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._dropped = True
        return not self._dropped

    def end(self) -> None:
        """No more messages; what it has it may still read."""
        self._life.cancel()
        self._dropped = True
        if self._queue.empty():
            self._queue.put_nowait(None)

    def refuse(self) -> None:
        """No more messages, also of those that it has."""
        self.refused = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self.end()

    async def next(self) -> Message | None:
        """The next message that it has not had; None: the stream is over."""
        while True:
            if self._dropped and self._queue.empty():
                return None
            message = await self._queue.get()
            if message is None:
                return None
            if message.sequence is not None and message.sequence > self.sequence:
                self.sequence = message.sequence
                return message


class Streams:
    """The listeners of a process; one `run()`, and `ring()` when something was numbered."""

    def __init__(
        self, reading: async_sessionmaker[AsyncSession], *, interval_s: float = 1.0
    ) -> None:
        self._reading = reading
        self._interval_s = interval_s
        self._bell = asyncio.Event()
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._read: dict[str, int] = {}
        """Project -> the last number that its listeners were offered."""

    def ring(self) -> None:
        self._bell.set()

    async def run(self) -> None:
        """Until cancelled, through outages of the database."""
        backoff = Backoff()
        while True:
            self._bell.clear()
            try:
                await self.look()
                backoff.reset()
                pause = self._interval_s
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    raise
                _log.warning("the stream waits for the database")
                pause = backoff.pause()
            try:
                async with asyncio.timeout(pause):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """Offer listeners what is new."""
        if not self._listeners:
            return
        async with self._reading() as session:
            newest = await heads(session, list(self._listeners))
            for project, head in newest.items():
                while project in self._listeners and self._read[project] < head:
                    page = await after(session, project, self._read[project], PAGE)
                    if not page:
                        # What lay between was tidied away.
                        self._read[project] = head
                    self._offer(project, page)

    async def join(self, project: str, sequence: int | None) -> Listener:
        """A place behind `sequence`; None: behind everything that there is now."""
        everybody = sum(len(some) for some in self._listeners.values())
        if everybody >= MOST or len(self._listeners.get(project, ())) >= MOST_OF_PROJECT:
            raise TooManyListeners()
        async with self._reading() as session:
            head = (await heads(session, [project])).get(project, 0)
            kept = None if sequence is None else await first_kept(session, project)
        listener = Listener(project, head if sequence is None else min(sequence, head))
        listener.missed = listener.sequence + 1 < (kept or head + 1) and sequence is not None
        self._read.setdefault(project, head)
        self._listeners[project].add(listener)
        _LISTENERS.inc()
        return listener

    def leave(self, listener: Listener) -> None:
        listener.end()
        some = self._listeners.get(listener.project, set())
        if listener not in some:
            return
        some.remove(listener)
        _LISTENERS.dec()
        if not some:
            del self._listeners[listener.project], self._read[listener.project]

    def close(self) -> None:
        """End every stream: the process stops."""
        for some in self._listeners.values():
            for listener in some:
                listener.end()

    async def messages(self, listener: Listener) -> AsyncIterator[Message]:
        """What the listener is owed: first what lies behind it, then what comes. It ends when the
        database is away."""
        while (page := await self._older(listener)) is not None:
            for message in page:
                if listener.refused:
                    return
                listener.sequence = message.sequence or listener.sequence
                yield message
            if len(page) < PAGE:
                break
        else:
            return
        while (following := await listener.next()) is not None:
            yield following

    async def _older(self, listener: Listener) -> Sequence[Message] | None:
        try:
            async with self._reading() as session:
                return await after(session, listener.project, listener.sequence, PAGE)
        except DATABASE_ERRORS as error:
            if is_outage(error):
                return None
            raise

    def _offer(self, project: str, page: Sequence[Message]) -> None:
        for message in page:
            for listener in self._listeners[project]:
                listener.offer(message)
            self._read[project] = message.sequence or self._read[project]


class TooManyListeners(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "too many clients listen to the stream already",
            "Close streams that nobody needs; one connection can carry all types.",
        )
