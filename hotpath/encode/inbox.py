"""What a child's parent has sent and its codec has not taken; a thread of its own fills it.

Invariant: it is bounded, and when it is full the parent's queue fills. A queue that even decoding
cannot catch up with is skipped up to its newest keyframe. When the parent sends no more, the child
has as long as it needs for what it holds, but a codec that hangs does not keep it.

Upstream: stdin. Downstream: `worker` and `ladder_worker`, which say what a job and a unit are.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hotpath.encode.job import EncodeSettings
from hotpath.encode.waiting import Queued
from hotpath.media.records import RecordError

MAX_BYTES = 8 * 1024 * 1024
HOPELESS = 3
"""A queue older than so many times the limit is skipped up to its newest keyframe."""
GRACE_S = 2.0
"""Once input has ended: a codec that has taken nothing for so long hangs."""


class AnyJob(Protocol):
    @property
    def settings(self) -> EncodeSettings: ...


J = TypeVar("J", bound=AnyJob)
U = TypeVar("U", bound=Queued)


@dataclass(frozen=True, slots=True)
class Waited(Generic[U]):
    unit: U
    received_ns: int
    skipped: int
    """Units that were left out right before this one."""


class Inbox(Generic[J, U]):
    """See the module for the invariant."""

    def __init__(
        self,
        fd: int,
        receive: Callable[[bytes, int], Sequence[object]],
        job: type[J],
        unit: type[U],
    ) -> None:
        self.job: J | None = None
        self.error: RecordError | None = None
        self._fd = fd
        self._receive = receive
        self._kinds = (job, unit)
        self._hopeless_ns = 0
        self._units: deque[tuple[U, int]] = deque()
        self._bytes = 0
        self._taken = 0
        self._ended = False
        self._changed = threading.Condition()
        self.done = threading.Event()
        threading.Thread(target=self._fill, name="inbox", daemon=True).start()

    @property
    def empty(self) -> bool:
        return not self._units

    def wait_job(self) -> J | None:
        with self._changed:
            self._changed.wait_for(lambda: self.job is not None or self._ended)
            return self.job

    def take(self) -> Waited[U] | None:
        """The next unit; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._units) or self._ended)
            skipped = self._skip() if self._units else 0
            if not self._units:
                return None
            unit, received_ns = self._units.popleft()
            self._bytes -= len(unit.data)
            self._taken += 1
            self._changed.notify_all()
            return Waited(unit, received_ns, skipped)

    def _skip(self) -> int:
        """Leave out a queue that even decoding cannot catch up with, up to its newest keyframe."""
        if time.monotonic_ns() - self._units[0][1] < self._hopeless_ns:
            return 0
        newest = max((n for n, (unit, _) in enumerate(self._units) if unit.keyframe), default=0)
        for _ in range(newest):
            self._bytes -= len(self._units.popleft()[0].data)
        return newest

    def _fill(self) -> None:
        try:
            while data := os.read(self._fd, 1 << 18):
                self._put(self._receive(data, time.time_ns()))
        except RecordError as error:
            self.error = error
        except OSError:
            pass  # the parent is gone
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._watch()

    def _watch(self) -> None:
        """End the child if its codec hangs, for nobody else will."""
        seen = self._taken
        while not self.done.wait(GRACE_S):
            if self._taken == seen:
                os._exit(1)
            seen = self._taken

    def _put(self, messages: Sequence[object]) -> None:
        now_ns = time.monotonic_ns()
        job, unit = self._kinds
        with self._changed:
            for message in messages:
                if isinstance(message, job):
                    self.job = message
                    self._hopeless_ns = HOPELESS * message.settings.late_ms * 1_000_000
                elif isinstance(message, unit):
                    self._units.append((message, now_ns))
                    self._bytes += len(message.data)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._bytes < MAX_BYTES)
