"""Blocked requests: counted, capped, and never held longer than their deadline.

Invariant: a waiter leaves the room when it is released, when its time is up or when its request is
cancelled, whichever comes first; the server does not tell when a client has left, so the deadline
is what bounds the room. Upstream: `live`. Runs on one event loop.
"""

import asyncio
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Outcome(Enum):
    READY = "ready"
    EXPIRED = "expired"
    FULL = "full"


class WaitingRoom:
    """All waiters of one origin."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0

    @property
    def full(self) -> bool:
        return self.count >= self.capacity


class Gate(Generic[K]):
    """Waiters for one thing that moves forward, grouped by what they wait for."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room
        self._groups: dict[K, set[asyncio.Future[Outcome]]] = {}

    async def wait(self, key: K, timeout_s: float) -> Outcome:
        """Until `release` accepts `key`, or the time is up."""
        if self._room.full:
            return Outcome.FULL
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Outcome] = loop.create_future()
        group = self._groups.setdefault(key, set())
        group.add(waiter)
        self._room.count += 1
        timer = loop.call_later(timeout_s, _settle, waiter, Outcome.EXPIRED)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._room.count -= 1
            group.discard(waiter)
            if not group and self._groups.get(key) is group:
                del self._groups[key]

    def release(self, reached: Callable[[K], bool]) -> None:
        """Let every group go whose key has been reached."""
        for key in [key for key in self._groups if reached(key)]:
            for waiter in self._groups.pop(key):
                _settle(waiter, Outcome.READY)


def _settle(waiter: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiter.done():
        waiter.set_result(outcome)
