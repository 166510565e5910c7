"""A rendition's segments as one byte stream, fetched from the store while it is read.

Invariant: at most `window` segments are in memory, however long the recording is. The stream is
read in order and once; PyAV takes it as a file that cannot seek.

Upstream: the object store. Downstream: `remux` (`fetched`) and `cut`.
"""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Self

from coldpath.media.recording import Segment
from infra.storage.objects import ObjectStore

WINDOW = 3


def fetched(
    store: ObjectStore, keys: Iterable[str], pool: ThreadPoolExecutor, window: int
) -> Generator[bytes, None, None]:
    """The objects in order, `window` of them fetched ahead on the pool. Whoever does not take all
    closes it."""
    ahead: deque[Future[bytes]] = deque()
    waiting = iter(keys)
    try:
        while True:
            ahead.extend(
                pool.submit(store.get, key) for key in islice(waiting, window - len(ahead))
            )
            if not ahead:
                return
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


class SegmentStream:
    """The bytes of one init section and the segments that play with it.

    Fetches ahead on the caller's `pool`, so that the store's latency is paid once and not per
    segment. Errors of the store come out of `read`.
    """

    def __init__(
        self,
        store: ObjectStore,
        init: bytes,
        segments: Sequence[Segment],
        pool: ThreadPoolExecutor,
        *,
        window: int = WINDOW,
    ) -> None:
        self._chunks = fetched(store, [segment.key for segment in segments], pool, window)
        self._current = memoryview(init)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end."""
        while not self._current:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._current = memoryview(chunk)
        taken, self._current = self._current[:size], self._current[size:]
        return bytes(taken)

    def close(self) -> None:
        """Drops what was fetched ahead."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
