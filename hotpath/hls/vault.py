"""Media that is no longer in memory: from the spool while it is there, else from the object store.

    spool/{key}    until the uploader has the store's word    →  the same key in the store

Invariant: the event loop never waits for disk or store; bytes held are bounded by the cache and by
the threads; an object is read once however many ask for it; and the store's trouble costs the
requests that need it, nothing else. Viewers are checked before they come here.

Upstream: `live`. Downstream: the spool's folder, which is only read, and `infra.storage`.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import Counter, Gauge

from infra.errors import ObjectMissing, StorageError
from infra.lane import Lane, LaneFull
from infra.storage.objects import ObjectStore

log = structlog.get_logger(__name__)

DISK_THREADS, DISK_WAITING = 2, 256
STORE_THREADS, STORE_WAITING = 8, 64
READ_S = 8.0
"""A viewer's player gives up after ten seconds or so."""
CACHE_BYTES = 64 * 1024 * 1024
_WORDS = {
    "slow": "older media take too long to come",
    "busy": "too many requests for older media are waiting",
    "store": "older media cannot be read now",
}

_READS = Counter(
    "livepath_hls_older_reads", "Media files that had left memory, by where they were.", ["source"]
)
_FAILURES = Counter(
    "livepath_hls_older_failures", "Media files that could not be read now (503).", ["reason"]
)
_WAITING = Gauge("livepath_hls_older_waiting", "Reads of older media that wait for a thread.")
_CACHED = Gauge("livepath_hls_older_cached_bytes", "Bytes of older media held in memory.")


class VaultUnavailable(Exception):
    """The file is there, and cannot be read now; the message says why."""


class Recent:
    """The files that were read last, up to so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        if (data := self._files.get(key)) is not None:
            self._files.move_to_end(key)
        return data

    def put(self, key: str, data: bytes) -> None:
        if len(data) > self._max_bytes:
            return
        self.bytes += len(data)
        self._files[key] = data
        while self.bytes > self._max_bytes:
            self.bytes -= len(self._files.popitem(last=False)[1])


class Vault:
    """See the module for the invariant. Make it, and close it, on the event loop."""

    def __init__(
        self,
        spool: Path,
        open_store: Callable[[], ObjectStore],
        *,
        cache_bytes: int = CACHE_BYTES,
        store_threads: int = STORE_THREADS,
        store_waiting: int = STORE_WAITING,
        read_s: float = READ_S,
    ) -> None:
        """`open_store` is called on a thread, once, before the first file is read from it."""
        self._spool = spool
        self._open_store = open_store
        self._store: ObjectStore | None = None
        self._opening = threading.Lock()
        self._disk = Lane("vault-disk", DISK_THREADS, DISK_WAITING)
        self._remote = Lane("vault-store", store_threads, store_waiting)
        self._read_s = read_s
        self._recent = Recent(cache_bytes)
        self._reads: dict[str, asyncio.Task[bytes | None]] = {}
        self._prepared: asyncio.Task[ObjectStore] | None = None
        _WAITING.set_function(lambda: self._disk.waiting + self._remote.waiting)
        _CACHED.set_function(lambda: self._recent.bytes)

    def prepare(self) -> None:
        """Somebody may want to read soon: the store's library takes most of a second to load."""
        if self._prepared is None:
            self._prepared = asyncio.create_task(self._remote.run(self._opened), name="vault")
            self._prepared.add_done_callback(_quiet)

    async def read(self, key: str, size: int) -> bytes | None:
        """The file, which has so many bytes; None where nobody has it.

        Raises `VaultUnavailable`.
        """
        if (data := self._recent.get(key)) is not None:
            _READS.labels("memory").inc()
            return data
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = asyncio.create_task(self._read(key, size), name=f"read {key}")
            read.add_done_callback(partial(self._finished, key))
        return await asyncio.shield(read)

    def close(self) -> None:
        for task in (*self._reads.values(), *([self._prepared] if self._prepared else [])):
            task.cancel()
        self._disk.close()
        self._remote.close()
        if self._store is not None:
            self._store.close()

    def _finished(self, key: str, read: asyncio.Task[bytes | None]) -> None:
        del self._reads[key]
        _quiet(read)

    async def _read(self, key: str, size: int) -> bytes | None:
        try:
            async with asyncio.timeout(self._read_s):
                data = await self._find(key, size)
        except (TimeoutError, LaneFull, StorageError) as error:
            reason = _reason(error)
            _FAILURES.labels(reason).inc()
            raise VaultUnavailable(_WORDS[reason]) from error
        if data is not None:
            self._recent.put(key, data)
        return data

    async def _find(self, key: str, size: int) -> bytes | None:
        """The uploader may take it from the spool, or the spool finish it, between two looks."""
        from_spool = partial(_from_spool, self._spool / key, size)
        if (data := await self._disk.run(from_spool)) is not None:
            _READS.labels("spool").inc()
            return data
        trouble: StorageError | None = None
        try:
            if (data := await self._remote.run(partial(self._from_store, key, size))) is not None:
                _READS.labels("store").inc()
                return data
        except StorageError as error:
            trouble = error
        data = await self._disk.run(from_spool)
        if data is None and trouble is not None:
            raise trouble
        _READS.labels("nowhere" if data is None else "spool").inc()
        return data

    def _from_store(self, key: str, size: int) -> bytes | None:
        try:
            data = self._opened().get(key)
        except ObjectMissing:
            return None
        if len(data) != size:
            log.error("the object store holds other bytes", key=key, bytes=len(data), wanted=size)
            return None
        return data

    def _opened(self) -> ObjectStore:
        with self._opening:
            if self._store is None:
                self._store = self._open_store()
        return self._store


def _from_spool(path: Path, size: int) -> bytes | None:
    """Finished or not yet named so: what was listed is whole when it has its size."""
    for candidate in (path, path.with_suffix(".partial")):
        try:
            data = candidate.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("a file of the spool cannot be read", path=str(path), error=str(error))
            return None
        if len(data) == size:
            return data
    return None


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "slow"
    return "busy" if isinstance(error, LaneFull) else "store"


def _quiet(task: "asyncio.Task[Any]") -> None:
    """Whoever gave up does not ask what became of it."""
    if not task.cancelled():
        task.exception()
