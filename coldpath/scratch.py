"""Scratch space of workers on one machine.

Invariant: a worker's folder is removed when the worker ends, and if it was killed, by the next
worker that starts: a folder whose lock nobody holds belongs to nobody. The lock lives as long as
any process of the worker, pool processes included, because they inherit it. An attempt's folder in
it is removed when the attempt ends, and if its process was killed, by the next process of the pool.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

_LOCK = ".lock"


class Scratch:
    """The folder of one worker, `root/name`."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self.folder = root / name
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self._lock = _locked(self.folder)
        self._remove_abandoned()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remove_abandoned(self) -> None:
        for folder in self._root.iterdir():
            # A folder without a lock file is just being made.
            if folder == self.folder or not (folder / _LOCK).exists():
                continue
            lock = _locked(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


@contextmanager
def folder_of(job: str, within: Path) -> Iterator[Path]:
    """A folder for one attempt of this process, empty at first and gone afterwards."""
    within.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{os.getpid()}.{job}.", dir=within, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def remove_of_dead(within: Path) -> None:
    """Removes what attempts have left whose process was killed."""
    for folder in within.glob("[0-9]*.*"):
        pid = folder.name.partition(".")[0]
        if pid.isdecimal() and not lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def lives(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _locked(folder: Path) -> int | None:
    """The held lock of the folder, or None when somebody has it."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
