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


class _Group:
    """Those who wait for the same thing, under one timer: a crowd costs no more timers than one."""

    __slots__ = ("_timer", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[asyncio.Future[Outcome], float] = {}
        """Waiter -> its deadline, in the loop's time."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, waiter: asyncio.Future[Outcome], timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = self.waiters[waiter] = loop.time() + timeout_s
        if self._timer is None or deadline < self._timer.when():
            self._arm(loop, deadline)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self.close()
        self._timer = loop.call_at(deadline, self._expire, loop, deadline)

    def _expire(self, loop: asyncio.AbstractEventLoop, reached: float) -> None:
        self._timer = None
        for waiter in [w for w, deadline in self.waiters.items() if deadline <= reached]:
            del self.waiters[waiter]
            _settle(waiter, Outcome.EXPIRED)
        if self.waiters:
            self._arm(loop, min(self.waiters.values()))


class Gate(Generic[K]):
    """Waiters for one thing that moves forward, grouped by what they wait for."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room
        self._groups: dict[K, _Group] = {}

    async def wait(self, key: K, timeout_s: float) -> Outcome:
        """Until `release` accepts `key`, or the time is up."""
        if self._room.full:
            return Outcome.FULL
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        group.add(waiter, timeout_s)
        self._room.count += 1
        try:
            return await waiter
        finally:
            self._room.count -= 1
            group.waiters.pop(waiter, None)
            if not group.waiters:
                group.close()
                if self._groups.get(key) is group:
                    del self._groups[key]

    def release(self, reached: Callable[[K], bool]) -> None:
        """Let every group go whose key has been reached."""
        for key in [key for key in self._groups if reached(key)]:
            group = self._groups.pop(key)
            group.close()
            for waiter in group.waiters:
                _settle(waiter, Outcome.READY)


def _settle(waiter: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiter.done():
        waiter.set_result(outcome)
