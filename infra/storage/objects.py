"""The seam to the object store: a small, synchronous, thread-safe interface.

Upstream: the uploader (hot plane), cold-path functions, control (for clients and viewers).
Downstream: `infra.storage.s3` for any S3, `infra.storage.memory` for unit tests; one contract test
suite runs against both. Nothing here may be called on an event loop: use a thread or a worker.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MAX_PRESIGN_S = 7 * 24 * 3600
"""Signature Version 4 allows no longer life."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing or a HEAD says of one object."""

    key: str
    bytes: int
    etag: str
    """Without quotes. Of an object written in one piece it is usually the MD5 of the content."""
    modified_ms: int
    """Unix milliseconds by the store's clock."""


class ObjectStore(ABC):
    """One bucket.

    Invariant: `put(..., exclusive=True)` never replaces an object; of any number of racing
    exclusive puts to one key exactly one succeeds (for files so large that they are sent in parts
    this needs a store that completes uploads atomically, see `s3_puts`). Every failure is an
    `infra.errors.StorageError`.
    """

    @staticmethod
    def from_url(url: str) -> "ObjectStore":
        """The store an `s3://` URL names (see `infra.storage.url`). Opens no connection."""
        # botocore takes 0.2 s to import; a process that only checks types does not pay it.
        from infra.storage.s3 import S3ObjectStore
        from infra.storage.url import parse_s3_url

        return S3ObjectStore(parse_s3_url(url))

    @abstractmethod
    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        """Store the bytes or the file's content; returns the ETag.

        Raises ObjectExists if `exclusive` and the key is taken. A lost reply can make a caller's
        second attempt meet its own object: then compare, with `holds`.
        """

    @abstractmethod
    def get(self, key: str) -> bytes:
        """The whole object, or ObjectMissing. For objects that fit into memory."""

    @abstractmethod
    def read(self, key: str, first: int, count: int) -> bytes:
        """At most `count` bytes of the object, which has more than `first`, from `first` on; or
        ObjectMissing."""

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Write the object to `path`, which appears only when it is complete."""

    @abstractmethod
    def head(self, key: str) -> ObjectInfo | None:
        """The object's facts, or None if there is no such key."""

    @abstractmethod
    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Objects below `prefix`, page by page, in the store's order, behind the key `after`."""

    @abstractmethod
    def presign(self, key: str, expires_s: int, download_name: str | None = None) -> str:
        """A URL that lets anyone GET the object for `expires_s` seconds.

        With `download_name` a browser saves the object under that name instead of showing it.
        """

    @abstractmethod
    def ensure_bucket(self) -> None:
        """Create the bucket if it does not exist."""

    @abstractmethod
    def check(self) -> None:
        """Raise StorageError if the bucket cannot be reached within a few seconds."""

    @abstractmethod
    def close(self) -> None:
        """Close idle connections."""

    def holds(self, key: str, path: Path) -> bool:
        """Whether the object `key` has exactly the content of the file.

        ETags are no proof on every store (encryption, multipart), so equal size with another ETag
        is settled by reading the object.
        """
        info = self.head(key)
        if info is None or info.bytes != path.stat().st_size:
            return False
        data = path.read_bytes()
        return info.etag == md5_hex(data) or self.get(key) == data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def md5_hex(data: bytes) -> str:
    """The ETag that S3 gives an object written in one piece without encryption."""
    import hashlib

    return hashlib.md5(data, usedforsecurity=False).hexdigest()
