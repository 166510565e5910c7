"""How full the spool is: when recording must stop, and when it may go on.

Invariant: the estimate is never below the true use, since deletions by the uploader (another
process) are seen only by looking; so the folder is measured only when the estimate says full.

Upstream: `spool_writer`; `spool_ledger` only reports failures, on its own thread.
"""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import structlog

log = structlog.get_logger(__name__)

StopReason = Literal["spool-full", "disk-error"]

LOW_WATER = 0.9
"""Recording goes on when the spool has fallen to this share of its limit."""
RETRY_S = 1.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def stop_reason(error: OSError) -> StopReason:
    return "spool-full" if error.errno in _FULL else "disk-error"


class Capacity:
    """Bytes of unacknowledged media below one folder against a limit."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        reserve_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._clock = clock
        self._used = measure(folder)
        self._measured_at = clock()
        self._full = False
        """Recording has stopped, in every session."""

    def has_room(self, size: int) -> bool:
        """Whether recording goes on with this much more."""
        if self._full and self.may_resume():
            log.info("recording goes on")
            self._full = False
        if not self._full and not self.fits(size):
            self._full = True
            log.error("recording stopped: the spool is full; is the uploader running?")
        return not self._full

    def failed(self, error: OSError) -> StopReason:
        """A write or sync failed: on a full disk recording stops. Any thread may tell."""
        reason = stop_reason(error)
        if reason == "spool-full" and not self._full:
            self._full = True
            log.error("recording stopped: the disk is full", error=str(error))
        return reason

    def add(self, size: int) -> None:
        """Bytes were written, or removed by ourselves (negative)."""
        self._used += size

    def fits(self, size: int) -> bool:
        if self._used + size > self._max_bytes and self._due():
            self._measure()
        return self._used + size <= self._max_bytes

    def may_resume(self) -> bool:
        """After a stop: the spool has drained and the disk has room. Looks once a second."""
        if not self._due():
            return False
        self._measure()
        if self._used > self._max_bytes * LOW_WATER:
            return False
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize >= self._reserve_bytes

    def _due(self) -> bool:
        return self._clock() - self._measured_at >= RETRY_S

    def _measure(self) -> None:
        self._used = measure(self._folder)
        self._measured_at = self._clock()


def measure(folder: Path) -> int:
    """Bytes in the files below a folder; what vanishes while we look counts as nothing."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += _size(entry)
        except OSError:
            continue
    return total


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
