"""What a child is still to be given, and what it and those before it have counted.

Invariant: `offer` never waits and holds no more than its bounds; what a child counted is counted
once, whether it lives or not. Used by `bridge` and `ladder_child`, one per job.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Generic

from hotpath.encode.waiting import T, Waiting


class Supply(Generic[T]):
    """One queue, fed to one child after the other; see the module for the invariant."""

    def __init__(
        self, pack: Callable[[T], bytes], *, video: bool, max_units: int, max_bytes: int
    ) -> None:
        self.draining = False
        self._pack = pack
        self._waiting = Waiting[T](video=video, max_units=max_units, max_bytes=max_bytes)
        self._changed = asyncio.Event()
        self._earlier: Counter[str] = Counter()
        """Counts of children that are gone."""
        self._present: Counter[str] = Counter()

    def __len__(self) -> int:
        """Units that no child has been given yet."""
        return len(self._waiting)

    @property
    def counts(self) -> Counter[str]:
        """What its children counted, and units that never reached one."""
        return self._earlier + self._present + Counter({"queue-full": self._waiting.dropped})

    def counted(self, totals: Mapping[str, int]) -> None:
        """The present child says what it has counted so far."""
        self._present = Counter(totals)

    def offer(self, units: Iterable[T]) -> None:
        for unit in units:
            self._waiting.offer(unit)
        self._changed.set()

    def drain(self) -> None:
        """Nothing more comes: after what waits, the child's input ends."""
        self.draining = True
        self._changed.set()

    def ended(self, *, restart: bool) -> None:
        """The child is gone. `restart`: another will be fed."""
        self._earlier += self._present
        self._present = Counter()
        if restart:
            self._waiting.restart()

    async def feed(self, writer: asyncio.StreamWriter) -> None:
        """Give a child what comes, until it is gone or everything is given."""
        while True:
            self._changed.clear()
            writer.write(b"".join(self._pack(unit) for unit in self._waiting.take()))
            await writer.drain()
            if self.draining and not self._waiting:
                writer.write_eof()
                return
            await self._changed.wait()
