"""A store that counts what one attempt moves through it.

Upstream: `coldpath.runner` puts it between a function and the store. Downstream: the store.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

from infra.storage.objects import ObjectInfo, ObjectStore


class MeteredStore(ObjectStore):
    """The same objects; `bytes_in` were read and `bytes_out` written."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.bytes_in = 0
        self.bytes_out = 0

    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        etag = self._store.put(key, data, content_type, exclusive=exclusive)
        self._count(written=data.stat().st_size if isinstance(data, Path) else len(data))
        return etag

    def get(self, key: str) -> bytes:
        data = self._store.get(key)
        self._count(read=len(data))
        return data

    def read(self, key: str, first: int, count: int) -> bytes:
        data = self._store.read(key, first, count)
        self._count(read=len(data))
        return data

    def download(self, key: str, path: Path) -> None:
        self._store.download(key, path)
        self._count(read=path.stat().st_size)

    def head(self, key: str) -> ObjectInfo | None:
        return self._store.head(key)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        return self._store.list(prefix, after)

    def presign(self, key: str, expires_s: int, download_name: str | None = None) -> str:
        return self._store.presign(key, expires_s, download_name)

    def ensure_bucket(self) -> None:
        self._store.ensure_bucket()

    def check(self) -> None:
        self._store.check()

    def close(self) -> None:
        """The store is the worker's and stays open."""

    def _count(self, *, read: int = 0, written: int = 0) -> None:
        # Functions fetch ahead in threads of their own.
        with self._lock:
            self.bytes_in += read
            self.bytes_out += written
