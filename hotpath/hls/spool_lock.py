"""Only one media process writes a spool, only one uploader empties it.

The locks are `flock`s: the kernel drops them with the process, however it ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotpath.hls.spool_layout import MEDIA_LOCK
from infra.errors import ConfigurationError


def take_lock(path: Path, owner: str) -> int:
    """The descriptor that holds the lock until it is closed, or ConfigurationError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise ConfigurationError(
            f"the spool {path.parent} is in use by another {owner}; give each its own data folder"
        ) from None
    return fd


def take_media_lock(root: Path) -> int:
    return take_lock(root / MEDIA_LOCK, "media process")


@contextmanager
def media_lock(root: Path) -> Iterator[None]:
    fd = take_media_lock(root)
    try:
        yield
    finally:
        os.close(fd)
