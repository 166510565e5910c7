"""Blocked requests: counted, capped, and never held longer than their deadline.

Invariant: a waiter leaves the room when it is released, when its time is up or when it goes by
itself, whichever comes first, and is told of the first two, once. It is told in a later turn of the
event loop: whoever releases a crowd does not wait until that is served, and a large crowd goes in
bursts, between which everything else has its turn. Upstream: `live`, `origin`. Runs on one event
loop.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BURST = 100
"""Waiters that are told in one turn: a few milliseconds of answers."""


class Outcome(Enum):
    READY = "ready"
    EXPIRED = "expired"
    FULL = "full"


class Waiter(ABC):
    """Something that waits, without a task, a future or a timer of its own."""

    __slots__ = ("group",)

    def __init__(self) -> None:
        self.group: _Group | None = None
        """Where it waits; None: it does not."""

    @abstractmethod
    def resume(self, outcome: Outcome) -> None:
        """The wait is over."""

    def leave(self) -> None:
        """Wait no more, and be told nothing."""
        if self.group is not None:
            self.group.forget(self)


class WaitingRoom:
    """All waiters of one origin."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        """Those who have been called and not told yet included."""
        self._called: deque[tuple[_Group, Waiter, Outcome]] = deque()

    @property
    def full(self) -> bool:
        return self.count >= self.capacity

    def call(self, group: "_Group", waiters: Iterable[Waiter], outcome: Outcome) -> None:
        if not self._called:
            asyncio.get_running_loop().call_soon(self._tell)
        self._called.extend((group, waiter, outcome) for waiter in waiters)

    def _tell(self) -> None:
        try:
            for _ in range(min(BURST, len(self._called))):
                group, waiter, outcome = self._called.popleft()
                if waiter.group is group:  # else it has left
                    waiter.group = None
                    self.count -= 1
                    waiter.resume(outcome)
        finally:
            if self._called:
                asyncio.get_running_loop().call_soon(self._tell)


class _Group:
    """Those who wait for the same thing, under one timer: a crowd costs no more timers than one."""

    __slots__ = ("_home", "_key", "_room", "_timer", "_waiters")

    def __init__(self, room: WaitingRoom, home: "dict[Any, _Group]", key: Hashable) -> None:
        self._room = room
        self._home = home
        self._key = key
        self._waiters: dict[Waiter, float] = {}
        """Waiter -> its deadline, in the loop's time."""
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, waiter: Waiter, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = self._waiters[waiter] = loop.time() + timeout_s
        waiter.group = self
        self._room.count += 1
        if self._timer is None or deadline < self._timer.when():
            self._arm(loop, deadline)

    def forget(self, waiter: Waiter) -> None:
        waiter.group = None
        self._room.count -= 1
        self._waiters.pop(waiter, None)
        if not self._waiters:
            self._close()

    def release(self) -> None:
        waiters, self._waiters = self._waiters, {}
        self._close()
        self._room.call(self, waiters, Outcome.READY)

    def _close(self) -> None:
        self._disarm()
        if self._home.get(self._key) is self:
            del self._home[self._key]

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self._disarm()
        self._timer = loop.call_at(deadline, self._expire, loop, deadline)

    def _expire(self, loop: asyncio.AbstractEventLoop, reached: float) -> None:
        self._timer = None
        late = [w for w, deadline in self._waiters.items() if deadline <= reached]
        for waiter in late:
            del self._waiters[waiter]
        self._room.call(self, late, Outcome.EXPIRED)
        if self._waiters:
            self._arm(loop, min(self._waiters.values()))
        else:
            self._close()


class Gate(Generic[K]):
    """Waiters for one thing that moves forward, grouped by what they wait for."""

    def __init__(self, room: WaitingRoom) -> None:
        self.crowd = 0
        """The most that waited for one thing, since somebody set it to 0."""
        self._room = room
        self._groups: dict[K, _Group] = {}

    def wait(self, key: K, timeout_s: float, waiter: Waiter) -> bool:
        """Tell the waiter when `release` accepts `key`, or the time is up; False: no room."""
        room = self._room
        if room.count >= room.capacity:
            return False
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(room, self._groups, key)
        group.add(waiter, timeout_s)
        self.crowd = max(self.crowd, len(group))
        return True

    def release(self, reached: Callable[[K], bool]) -> None:
        """Let every group go whose key has been reached."""
        for key in [key for key in self._groups if reached(key)]:
            self._groups[key].release()
