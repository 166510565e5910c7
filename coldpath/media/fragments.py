"""A rendition's segments as one byte stream, fetched from the store while it is read.

Invariant: at most `window` segments are in memory, however long the recording is. The stream is
read in order and once; PyAV takes it as a file that cannot seek.

Upstream: the object store. Downstream: `remux`.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from coldpath.media.recording import Segment
from infra.storage.objects import ObjectStore

WINDOW = 3


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
        self._store = store
        self._pool = pool
        self._window = window
        self._ahead: deque[Future[bytes]] = deque()
        self._keys = iter([segment.key for segment in segments])
        self._chunks = self._produce(init)
        self._current = memoryview(b"")

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
        while self._ahead:
            self._ahead.popleft().cancel()
        self._chunks.close()

    def _produce(self, init: bytes) -> Generator[bytes, None, None]:
        self._fetch_ahead()
        yield init
        while self._ahead:
            data = self._ahead.popleft().result()
            self._fetch_ahead()
            yield data

    def _fetch_ahead(self) -> None:
        while len(self._ahead) < self._window:
            key = next(self._keys, None)
            if key is None:
                return
            self._ahead.append(self._pool.submit(self._store.get, key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
