"""From the ingest thread to the event loop, bounded.

Invariant: the thread never waits for the loop. While the loop is behind, a publisher's units
beyond `MAX_PENDING_BYTES` are dropped, video up to the next keyframe, and counted; control calls
(connected, formats, disconnected) always arrive, in order. One wake-up of the loop per batch.

Upstream: the thread of `hotpath.ingest.srt`. Downstream: the node's publisher sink, on the loop.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hotpath.media.unit import VIDEO, Unit

MAX_PENDING_BYTES = 8 * 1024 * 1024
MAX_PENDING_CALLS = 65_536

Call = Callable[[], None]


@dataclass(slots=True)
class Gate:
    """One publisher's share of the hand-over; owned by the ingest thread but for `pending`."""

    pending: int = 0
    """Bytes posted and not yet delivered; guarded by the hand-over's lock."""
    shut: bool = False
    await_keyframe: bool = False
    dropped: int = 0

    def admit(self, units: Sequence[Unit], pending: int, limit: int) -> list[Unit]:
        """The units that may pass, given the bytes that wait."""
        if self.shut and pending <= limit // 2:
            self.shut = False
        passed: list[Unit] = []
        for unit in units:
            if not self.shut and pending + len(unit.data) > limit:
                self.shut = self.await_keyframe = True
            video = unit.track == VIDEO
            if self.shut or (video and self.await_keyframe and not unit.keyframe):
                self.dropped += 1
                continue
            if video:
                self.await_keyframe = False
            pending += len(unit.data)
            passed.append(unit)
        return passed


class Handover:
    def __init__(self, limit: int = MAX_PENDING_BYTES) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limit = limit
        self._lock = threading.Lock()
        self._calls: deque[tuple[Call, Gate | None, int]] = deque()
        self._scheduled = False
        self.calls_dropped = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop that delivers; before, calls only collect."""
        self._loop = loop

    def post(self, call: Call) -> None:
        """Queue a control call. Only refusals can be many, and `MAX_PENDING_CALLS` bounds them."""
        with self._lock:
            self._calls.append((call, None, 0))

    def post_optional(self, call: Call) -> None:
        """Queue a call that may be dropped, and is then counted, when very many wait."""
        with self._lock:
            if len(self._calls) >= MAX_PENDING_CALLS:
                self.calls_dropped += 1
            else:
                self._calls.append((call, None, 0))

    def post_units(
        self, gate: Gate, units: Sequence[Unit], call: Callable[[Sequence[Unit]], None]
    ) -> None:
        """Queue units; those that find no room are dropped and counted in the gate."""
        with self._lock:
            pending = gate.pending
        passed = gate.admit(units, pending, self._limit)
        if not passed:
            return
        size = sum(len(u.data) for u in passed)
        with self._lock:
            gate.pending += size
            self._calls.append((lambda: call(passed), gate, size))

    def wake(self) -> None:
        """Once per round of the thread: have the loop deliver what was posted."""
        with self._lock:
            loop = self._loop
            if loop is None or self._scheduled or not self._calls:
                return
            self._scheduled = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            loop.call_soon_threadsafe(self.deliver)

    def deliver(self) -> None:
        """On the loop: make the calls. One that raises does not take the others with it."""
        with self._lock:
            calls, self._calls = self._calls, deque()
            self._scheduled = False
        try:
            while calls:
                call, gate, size = calls.popleft()
                if gate is not None:
                    with self._lock:
                        gate.pending -= size
                call()
        finally:
            if calls:
                with self._lock:
                    calls.extend(self._calls)
                    self._calls = calls
                    self._scheduled = True
                if self._loop is not None:
                    self._loop.call_soon(self.deliver)
