"""The bucket as viewers read it: in slices, on a few threads.

Invariant: the event loop never waits for the store. A viewer costs at most a slice of memory and,
while it is read, a thread: who takes a slice slowly holds nothing of the store meanwhile. What is
served this way is never overwritten, so what was once said of an object stays true.

Upstream: `routes.objects`. Downstream: `infra.storage`.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from infra.control.problems import Unavailable
from infra.errors import ObjectExists, StorageError
from infra.lane import Lane, LaneFull
from infra.storage.objects import ObjectInfo, ObjectStore

T = TypeVar("T")

SLICE = 512 * 1024
THREADS, WAITING = 8, 128
READ_S = 10.0
"""Players give up after about as long."""
KNOWN = 8192
"""Objects whose size is remembered."""


class StoreUnavailable(Unavailable):
    slug, title = "store-unavailable", "The recording cannot be read now"


class Objects:
    """See the module for the invariant. Belongs to one event loop."""

    def __init__(
        self,
        open_store: Callable[[], ObjectStore],
        *,
        threads: int = THREADS,
        waiting: int = WAITING,
        read_s: float = READ_S,
    ) -> None:
        """`open_store` is called on a thread, once, when something is first asked for."""
        self._open_store = open_store
        self._store: ObjectStore | None = None
        self._opening = threading.Lock()
        self._lane = Lane("objects", threads, waiting)
        self._read_s = read_s
        self._known: OrderedDict[str, ObjectInfo] = OrderedDict()

    async def find(self, key: str) -> ObjectInfo | None:
        """The object's facts, or None where there is none."""
        if (info := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return info
        info = await self._run(lambda store: store.head(key))
        if info is not None:
            self._known[key] = info
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return info

    async def read(self, info: ObjectInfo, first: int, end: int) -> bytes:
        """Bytes `first` up to and without `end`."""
        wanted = end - first
        data = await self._run(lambda store: store.read(info.key, first, wanted))
        if len(data) != wanted:
            raise _unavailable(f"the store gave {len(data)} of {wanted} bytes of {info.key}")
        return data

    async def slices(self, info: ObjectInfo, first: int, end: int) -> AsyncIterator[bytes]:
        """The same, a slice at a time."""
        for at in range(first, end, SLICE):
            yield await self.read(info, at, min(at + SLICE, end))

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Stores what is named by its content; where it is stored already nothing happens."""

        def put(store: ObjectStore) -> None:
            try:
                store.put(key, data, content_type)
            except ObjectExists:
                return

        await self._run(put)

    def close(self) -> None:
        self._lane.close()
        if self._store is not None:
            self._store.close()

    async def _run(self, call: Callable[[ObjectStore], T]) -> T:
        try:
            async with asyncio.timeout(self._read_s):
                return await self._lane.run(partial(self._call, call))
        except LaneFull:
            raise _unavailable("too many requests for recordings are waiting") from None
        except TimeoutError:
            raise _unavailable("the object store takes too long to answer") from None
        except StorageError as error:
            raise _unavailable(f"the object store does not give it: {error}") from error

    def _call(self, call: Callable[[ObjectStore], T]) -> T:
        with self._opening:
            if self._store is None:
                self._store = self._open_store()
        return call(self._store)


def _unavailable(why: str) -> StoreUnavailable:
    return StoreUnavailable(why, "Try again in a few seconds; nothing is lost.")
