"""The ring: what one programme published most recently, read by many cursors at their own pace.

Invariant: the ring never holds more than `max_items` entries or `max_bytes` bytes, whatever its
readers do. A reader whose next entry was evicted is moved to the next join point (a keyframe) that
is still held, or waits for one; what it missed is counted. Sticky entries (formats) reach every
reader before the entries they govern, even if the entry itself was evicted or skipped.

Upstream: `hotpath.bus.stream`, which knows what the entries mean. No clock, no IO.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Position:
    """Where a reader stands; owned by the reader, moved by `Ring.read`."""

    sequence: int
    """Sequence number of the next entry to read."""
    units: int
    """Units published before that entry."""
    joining: bool
    """The reader may only start at a join point and has not found one yet."""
    skipped: int = 0
    """Units that were published after the reader started and that it never got."""
    jumped: bool = True
    """Entries before `sequence` were not read, sticky ones perhaps among them."""
    seen: dict[Hashable, int] = field(default_factory=dict)
    """Sticky key -> sequence number of the newest sticky entry delivered."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    item: T
    size: int
    units: int
    """Units published before this entry."""
    is_unit: bool
    sticky: Hashable | None


class Ring(Generic[T]):
    """A bounded sequence of entries with join points; see the module for the invariant."""

    def __init__(self, max_items: int, max_bytes: int) -> None:
        if max_items < 1 or max_bytes < 1:
            raise ValueError("a ring holds at least one item and one byte")
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.bytes = 0
        self.units = 0
        self._entries: deque[_Entry[T]] = deque()
        self._oldest = 0
        self._joins: deque[int] = deque()
        self._sticky: dict[Hashable, deque[tuple[int, T]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def oldest(self) -> int:
        """Sequence number of the oldest entry held (or of the next one, when empty)."""
        return self._oldest

    @property
    def end(self) -> int:
        """Sequence number that the next entry will get."""
        return self._oldest + len(self._entries)

    def append(
        self,
        item: T,
        size: int,
        *,
        unit: bool = False,
        join: bool = False,
        sticky: Hashable | None = None,
    ) -> int:
        """Add an entry, evict what no longer fits, and return the entry's sequence number."""
        sequence = self.end
        self._entries.append(_Entry(item, size, self.units, unit, sticky))
        self.bytes += size
        self.units += unit
        if join:
            self._joins.append(sequence)
        if sticky is not None:
            self._sticky.setdefault(sticky, deque()).append((sequence, item))
        while len(self._entries) > self.max_items or self.bytes > self.max_bytes:
            self._evict()
        return sequence

    def _evict(self) -> None:
        entry = self._entries.popleft()
        self.bytes -= entry.size
        self._oldest += 1
        if self._joins and self._joins[0] < self._oldest:
            self._joins.popleft()
        if entry.sticky is not None:
            held = self._sticky[entry.sticky]
            # One sticky entry older than the ring stays: it governs the oldest entries held.
            while len(held) > 1 and held[1][0] < self._oldest:
                held.popleft()

    def at_end(self) -> Position:
        """A reader that gets only what is published from now on."""
        return Position(self.end, self.units, joining=False)

    def at_join(self) -> Position:
        """A reader that starts at the newest join point held, else waits for the next one."""
        start = self._joins[-1] if self._joins else self.end
        return Position(start, self._units_before(start), joining=not self._joins)

    def available(self, position: Position) -> bool:
        """Whether `read` would return something now."""
        if position.joining or position.sequence < self._oldest:
            return self._next_join(position.sequence) is not None
        return position.sequence < self.end

    def read(self, position: Position, limit: int = 256) -> list[T]:
        """Up to `limit` entries from `position` on, which moves behind them; sticky ones first."""
        if position.joining or position.sequence < self._oldest:
            join = self._next_join(position.sequence)
            if join is None:
                return []
            before = self._units_before(join)
            position.skipped += max(0, before - position.units) if not position.joining else 0
            position.sequence, position.units, position.joining = join, before, False
            position.jumped = True
        items = self._missed_sticky(position) if position.jumped else []
        position.jumped = False
        first = position.sequence - self._oldest
        last = min(first + limit, len(self._entries))
        for index in range(first, last):
            entry = self._entries[index]
            if entry.sticky is not None:
                position.seen[entry.sticky] = self._oldest + index
            items.append(entry.item)
        position.sequence = self._oldest + last
        position.units = self._units_before(position.sequence)
        return items

    def _missed_sticky(self, position: Position) -> list[T]:
        """Sticky entries in force at `position` that this reader was never given."""
        missed: list[tuple[int, T]] = []
        for key, held in self._sticky.items():
            governing = [entry for entry in held if entry[0] < position.sequence]
            if governing and position.seen.get(key, -1) < governing[-1][0]:
                position.seen[key] = governing[-1][0]
                missed.append(governing[-1])
        return [item for _, item in sorted(missed, key=lambda entry: entry[0])]

    def _next_join(self, sequence: int) -> int | None:
        return next((join for join in self._joins if join >= sequence), None)

    def _units_before(self, sequence: int) -> int:
        index = sequence - self._oldest
        return self._entries[index].units if index < len(self._entries) else self.units
