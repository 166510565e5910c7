"""An object store in memory, for unit tests of whatever uses `ObjectStore`.

It keeps the same promises as S3 (the contract suite runs against it); `clock_ms` is injected so
that tests decide what `modified_ms` says.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from infra.errors import ObjectExists, ObjectMissing
from infra.storage.objects import MAX_PRESIGN_S, ObjectInfo, ObjectStore, md5_hex


class MemoryObjectStore(ObjectStore):
    """A bucket that lives as long as this object."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: 0) -> None:
        self._clock_ms = clock_ms
        self._objects: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._lock = threading.Lock()

    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        content = data.read_bytes() if isinstance(data, Path) else bytes(data)
        info = ObjectInfo(key, len(content), md5_hex(content), self._clock_ms())
        with self._lock:
            if exclusive and key in self._objects:
                raise ObjectExists(f"{key} exists already")
            self._objects[key] = (info, content)
        return info.etag

    def get(self, key: str) -> bytes:
        with self._lock:
            if key not in self._objects:
                raise ObjectMissing(f"there is no object {key}")
            return self._objects[key][1]

    def read(self, key: str, first: int, count: int) -> bytes:
        return self.get(key)[first : first + count]

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def head(self, key: str) -> ObjectInfo | None:
        with self._lock:
            found = self._objects.get(key)
        return found[0] if found else None

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        with self._lock:
            infos = [info for info, _ in self._objects.values()]
        for info in sorted(infos, key=lambda i: i.key):
            if info.key.startswith(prefix) and info.key > after:
                yield info

    def presign(self, key: str, expires_s: int, download_name: str | None = None) -> str:
        if not 0 < expires_s <= MAX_PRESIGN_S:
            raise ValueError(f"expires_s must be 1..{MAX_PRESIGN_S}, not {expires_s}")
        name = f"&name={quote(download_name)}" if download_name else ""
        return f"memory:///{quote(key)}?expires={expires_s}{name}"

    def ensure_bucket(self) -> None:
        """Nothing to create."""

    def check(self) -> None:
        """Always reachable."""

    def close(self) -> None:
        """Nothing to close."""
