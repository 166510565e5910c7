"""The life of a child process that is needed for as long as its parent says: it is replaced when it
crashes, a few times.

Invariant: at most one child at a time, and none when `run` has returned. `on_failed` is called once
when the last replacement has crashed as well, and not after `close`.

Upstream: `bridge` and `ladder`, whose `Talk` says what to write and what was read.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from hotpath.encode.process import child
from hotpath.media.records import RecordError

log = structlog.get_logger(__name__)

BACKOFF_S = (0.2, 1.0, 3.0)
"""Before the first, second and third restart; a fourth crash is the end."""
STEADY_S = 60.0
"""A child that lived for so long has earned its restarts anew."""
READ = 1 << 18
SILENT = "it ended without a word"


class Talk(Protocol):
    """What is said with one child after the other."""

    async def feed(self, writer: asyncio.StreamWriter) -> None:
        """Write to a new child; it may end before the child does."""

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Read until the child ends."""

    def ended(self, *, restart: bool) -> None:
        """The child is gone. `restart`: another will be fed."""


class Life:
    """One child after the other; see the module for the invariant."""

    def __init__(
        self, name: str, command: Sequence[str], talk: Talk, on_failed: Callable[[], None]
    ) -> None:
        self.restarts = 0
        self.failed = False
        self.pid: int | None = None
        self.last_words = ""
        self._name = name
        self._command = tuple(command)
        self._talk = talk
        self._on_failed = on_failed
        self._closed = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def close(self) -> None:
        """No child is wanted any more; `run` returns."""
        self._closed.set()

    async def run(self) -> None:
        """Until `close`, failure, or cancellation."""
        failures = 0
        while not self.closed:
            started = time.monotonic()
            await self._one_life()
            if self.closed:
                self._talk.ended(restart=False)
                return
            failures = 0 if time.monotonic() - started >= STEADY_S else failures
            if failures == len(BACKOFF_S):
                self._fail()
                return
            await self._pause(BACKOFF_S[failures])
            failures += 1
            self.restarts += 1
            self._talk.ended(restart=True)

    def _fail(self) -> None:
        self.failed = True
        self.close()
        self._talk.ended(restart=False)
        log.error("child given up", child=self._name, why=self.last_words)
        self._on_failed()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return

    async def _one_life(self) -> None:
        """One child from its start to its end."""
        self.last_words = SILENT
        try:
            async with child(self._command) as (process, connection):
                self.pid = process.pid
                reader, writer = await asyncio.open_unix_connection(sock=connection)
                try:
                    await self._converse(reader, writer)
                finally:
                    writer.transport.abort()
        except OSError as error:
            self.last_words = str(error)
        finally:
            self.pid = None
        if not self.closed:
            log.warning("child ended", child=self._name, why=self.last_words)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the child ends or nobody wants it."""
        feed = asyncio.create_task(self._talk.feed(writer))
        listen = asyncio.create_task(self._talk.listen(reader))
        closed = asyncio.create_task(self._closed.wait())
        feed.add_done_callback(lambda done: listen.cancel() if _is_bug(done) else None)
        try:
            await asyncio.wait((listen, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for side in (feed, listen, closed):
                side.cancel()
            results = await asyncio.gather(feed, listen, closed, return_exceptions=True)
        for result in results:
            if isinstance(result, RecordError | OSError):
                if self.last_words == SILENT:
                    self.last_words = str(result)
            elif isinstance(result, Exception):
                raise result


def _is_bug(done: "asyncio.Task[None]") -> bool:
    """A child that is gone is none: what it said last is still to be read."""
    return not (done.cancelled() or isinstance(done.exception(), OSError | type(None)))
