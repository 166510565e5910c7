"""How long a worker that is told to stop waits for its jobs: until none is worked on, or until the
time that they have is over.

The main process waits in a signal handler, where it learns nothing of its pool's processes; each of
these notes in memory that they share whether it works on a job. A process that is killed meanwhile
leaves its note, and is waited for in vain.

Upstream: `coldpath.worker`.
"""

import mmap
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_S = 0.05


class AtWork:
    """Which processes of a pool work on a job; made before they are forked."""

    def __init__(self, processes: int) -> None:
        self._shared = mmap.mmap(-1, processes)
        self._mine = 0

    def take_place(self, index: int) -> None:
        """This process is number `index` of the pool, perhaps after one that is no more."""
        self._mine = index
        self._shared[index] = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """This process works on a job."""
        self._shared[self._mine] = 1
        try:
            yield
        finally:
            self._shared[self._mine] = 0

    def nobody(self) -> bool:
        return not any(self._shared[:])

    def wait_for_nobody(self, timeout_s: float) -> bool:
        """Whether nobody works, at the latest after so many seconds."""
        until = time.monotonic() + timeout_s
        while not self.nobody():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)
        return True
