"""The units that wait for a child.

Pure. Invariant: never more than the bounds; what does not fit is left out and counted, video up to
the next keyframe, because what lies between cannot be decoded.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """A unit, or one with something beside it."""

    @property
    def keyframe(self) -> bool: ...

    @property
    def data(self) -> bytes: ...


T = TypeVar("T", bound=Queued)


class Waiting(Generic[T]):
    """A bounded queue of one track."""

    def __init__(self, *, video: bool, max_units: int, max_bytes: int) -> None:
        self.dropped = 0
        self.bytes = 0
        self._video = video
        self._max_units = max_units
        self._max_bytes = max_bytes
        self._units: deque[T] = deque()
        self._await_keyframe = False

    def __len__(self) -> int:
        return len(self._units)

    def offer(self, unit: T) -> None:
        full = len(self._units) >= self._max_units or self.bytes + len(unit.data) > self._max_bytes
        if full or (self._await_keyframe and not unit.keyframe):
            self._await_keyframe = self._video
            self.dropped += 1
            return
        self._await_keyframe = False
        self._units.append(unit)
        self.bytes += len(unit.data)

    def restart(self) -> None:
        """The reader is a new one, which can only begin at a keyframe."""
        if not self._video:
            return
        while self._units and not self._units[0].keyframe:
            self.bytes -= len(self._units.popleft().data)
            self.dropped += 1
        self._await_keyframe = not self._units

    def take(self) -> list[T]:
        units = list(self._units)
        self._units.clear()
        self.bytes = 0
        return units
