"""Presigned download URLs, made in a thread.

Signing is arithmetic, but opening the store reads files and the AWS credential chain may ask the
network, so neither runs on the event loop.
"""

import asyncio
import threading
from collections.abc import Sequence

from infra.storage.objects import ObjectStore


class Presigner:
    """Signs URLs for one bucket; the store is opened at the first use."""

    def __init__(self, s3_url: str, expires_s: int = 3600) -> None:
        self.expires_s = expires_s
        self._url = s3_url
        self._store: ObjectStore | None = None
        self._lock = threading.Lock()

    async def urls(self, downloads: Sequence[tuple[str, str | None]]) -> list[str]:
        """One URL for each (key, name to save under or None)."""
        return await asyncio.to_thread(self._sign, downloads)

    def _sign(self, downloads: Sequence[tuple[str, str | None]]) -> list[str]:
        with self._lock:
            if self._store is None:
                self._store = ObjectStore.from_url(self._url)
            store = self._store
        return [store.presign(key, self.expires_s, name) for key, name in downloads]

    def close(self) -> None:
        """Let go of the store's connections."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
