"""A few threads for calls that block, with a bounded line of those who wait for one.

Invariant: no more calls run than there are threads, no more wait than was said, and nobody waits
for a thread that hangs longer than he wants to: a call that is given up waits no more, or goes on
and its result is dropped. Threads are daemons, so that one that hangs does not keep the process.
Belongs to one event loop. Upstream: `hotpath.hls.vault`, `infra.control.objects`.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class LaneFull(Exception):
    """As many calls wait for a thread as may."""


class Lane:
    """See the module for the invariant."""

    def __init__(self, name: str, threads: int, max_waiting: int) -> None:
        self.waiting = 0
        self._max_waiting = max_waiting
        self._free = asyncio.Semaphore(threads)
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._calls = queue.SimpleQueue()
        self._running: set[asyncio.Future[Any]] = set()
        work = partial(_work, self._calls)
        self._threads = [
            threading.Thread(target=work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        self._started = 0

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result, or what it raises; `LaneFull` when too many wait already."""
        if self._free.locked() and self.waiting >= self._max_waiting:
            raise LaneFull
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        if self._started < len(self._threads):
            # One with each call until all run; most nodes never need any.
            self._threads[self._started].start()
            self._started += 1
        future: Future[T] = Future()
        running = asyncio.wrap_future(future)
        self._running.add(running)
        running.add_done_callback(self._done)
        self._calls.put((future, call))
        return await asyncio.shield(running)

    def close(self) -> None:
        """Nobody waits any more; threads end after what they are at."""
        for running in self._running:
            running.cancel()
        for _ in range(self._started):
            self._calls.put(None)

    def _done(self, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        self._free.release()
        if not running.cancelled():
            running.exception()  # whoever gave up does not ask for it


def _work(calls: "queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]") -> None:
    while (taken := calls.get()) is not None:
        future, call = taken
        if not future.set_running_or_notify_cancel():
            continue
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001
            future.set_exception(error)
        else:
            future.set_result(result)
