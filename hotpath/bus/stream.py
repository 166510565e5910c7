"""The programme's stream of items: one writer that never waits, many cursors.

Invariant: `publish` takes the same time whether readers are fast, slow or gone. Every cursor sees
each FormatChange before the units that need it, and ProgramEnd last, whatever it skipped between.

Upstream: `hotpath.program.service` publishes. Downstream: the LL-HLS packager, later fan-out and
relay, each on a cursor of its own. Lives on one event loop; the ring below it is pure.
"""

import asyncio
from collections.abc import Iterable
from typing import Literal

from hotpath.bus.ring import Position, Ring
from hotpath.media.unit import (
    COMPANION,
    VIDEO,
    CompanionEnd,
    CompanionSample,
    Format,
    FormatChange,
    Item,
    ProgramEnd,
    Sample,
)
from infra.keys import ProgramKey

ITEM_OVERHEAD = 512
"""Bytes charged for an item beside its payload; about what its Python objects take."""


class Cursor:
    """One reader of a stream. It owns its place in the ring and nothing else."""

    def __init__(self, stream: "ProgramStream", position: Position) -> None:
        self._stream = stream
        self._position = position
        self._waiter: asyncio.Future[None] | None = None

    @property
    def skipped(self) -> int:
        """Units this reader lost by falling behind."""
        return self._position.skipped

    def read_nowait(self) -> list[Item]:
        """What can be read now; empty when the reader has caught up (or the stream is over)."""
        return self._stream.ring.read(self._position)

    async def read(self) -> list[Item]:
        """The next items, at least one; an empty list means that the stream is over."""
        while not (items := self.read_nowait()):
            if self._stream.ended:
                return []
            if self._waiter is not None:
                raise RuntimeError("a cursor has one reader")
            self._waiter = asyncio.get_running_loop().create_future()
            self._stream.waiting.append(self)
            try:
                await self._waiter
            except asyncio.CancelledError:
                self._stream.forget(self)
                raise
            finally:
                self._waiter = None
        return items

    def wake(self) -> None:
        """Called by the stream when there may be something to read."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ProgramStream:
    """What one incarnation of a programme publishes; see the module for the invariant."""

    def __init__(
        self,
        key: ProgramKey,
        incarnation: str,
        *,
        max_items: int = 16_384,
        max_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self.key = key
        self.incarnation = incarnation
        self.formats: dict[str, Format] = {}
        """Formats in force now, by track; updated by FormatChange and CompanionEnd items."""
        self.ended = False
        self.ring: Ring[Item] = Ring(max_items, max_bytes)
        self.waiting: list[Cursor] = []

    def publish(self, items: Iterable[Item]) -> None:
        """Append the items and wake every waiting cursor; never waits."""
        if self.ended:
            raise RuntimeError(f"{self.key} {self.incarnation} has ended; nothing may follow")
        for item in items:
            self._append(item)
        waiting, self.waiting = self.waiting, []
        for cursor in waiting:
            cursor.wake()

    def cursor(self, start: Literal["live", "keyframe"] = "keyframe") -> Cursor:
        """A new reader: from now on (`live`), or from the newest keyframe held."""
        position = self.ring.at_end() if start == "live" else self.ring.at_join()
        return Cursor(self, position)

    def forget(self, cursor: Cursor) -> None:
        """The cursor no longer waits (its reader was cancelled)."""
        if cursor in self.waiting:
            self.waiting.remove(cursor)

    def _append(self, item: Item) -> None:
        match item:
            case Sample(unit=unit, mark=mark):
                lead = VIDEO if VIDEO in self.formats else unit.track
                join = unit.keyframe and unit.track == lead and (lead == VIDEO or mark.independent)
                size = len(unit.data) + ITEM_OVERHEAD
                self.ring.append(item, size, unit=True, join=join)
            case CompanionSample(unit=unit):
                self.ring.append(item, len(unit.data) + ITEM_OVERHEAD, unit=True)
            case CompanionEnd():
                self.formats.pop(COMPANION, None)
                self.ring.append(item, ITEM_OVERHEAD, sticky=COMPANION)
            case FormatChange(format=fmt):
                self.formats[fmt.track] = fmt
                # A first format is where the very first readers start: nothing precedes it.
                first = self.ring.end == 0
                self.ring.append(item, ITEM_OVERHEAD, sticky=fmt.track, join=first)
            case ProgramEnd():
                self.ended = True
                # Whoever is behind now starts again at the end, so that it learns of the end.
                self.ring.append(item, ITEM_OVERHEAD, join=True)
            case _:
                self.ring.append(item, ITEM_OVERHEAD)
