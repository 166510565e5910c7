"""The bounded way from the event loop to the spool's append thread.

Invariant: `offer` and `force` never block. Media is offered and may be refused when too many bytes
or operations wait; what is forced (the end of a segment that is wholly in, a seal) is small and at
most a few per segment that was accepted.
"""

import threading
from collections import deque
from collections.abc import Callable

Operation = Callable[[], None]


class WriteQueue:
    """Operations in order, counted in bytes."""

    def __init__(self, max_bytes: int, max_operations: int) -> None:
        self._max_bytes = max_bytes
        self._max_operations = max_operations
        self._operations: deque[tuple[Operation, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def offer(self, operation: Operation, size: int = 0) -> bool:
        """False: full (or closed); the operation will not run."""
        with self._changed:
            full = self._bytes + size > self._max_bytes
            if self._closed or full or len(self._operations) >= self._max_operations:
                return False
            self._append(operation, size)
            return True

    def force(self, operation: Operation) -> None:
        with self._changed:
            if not self._closed:
                self._append(operation, 0)

    def take(self) -> Operation | None:
        """The next operation, as soon as there is one; None if the queue is closed and empty."""
        with self._changed:
            while not self._operations and not self._closed:
                self._changed.wait()
            if not self._operations:
                return None
            operation, size = self._operations.popleft()
            self._bytes -= size
            return operation

    def close(self) -> None:
        """Nothing more comes in; what is in stays to be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _append(self, operation: Operation, size: int) -> None:
        self._operations.append((operation, size))
        self._bytes += size
        self._changed.notify()
