"""What a function gets to work with, and the only ways in which it touches the world.

Invariant: an attempt that lost its lease raises `LeaseLost` at its next progress report or output
and writes no further object.
"""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from coldpath.errors import LeaseLost
from coldpath.ledger import Ledger
from coldpath.records import JobResult, Lease
from infra.errors import ObjectExists, StorageError
from infra.storage.objects import ObjectInfo, ObjectStore


class JobContext:
    """One attempt's view: its input, the store, a scratch folder of its own."""

    def __init__(
        self,
        lease: Lease,
        ledger: Ledger,
        store: ObjectStore,
        scratch: Path,
        lost: threading.Event,
    ) -> None:
        self.lease = lease
        self.store = store
        self.scratch = scratch
        """Empty at the start, removed at the end."""
        self._ledger = ledger
        self._lost = lost
        self._reported = 0

    def check(self) -> None:
        """Raises `LeaseLost` when another attempt owns the job or it was cancelled."""
        if self._lost.is_set():
            raise LeaseLost(f"{self.lease.job}: attempt {self.lease.fence} lost its lease")

    def progress(self, done: int, total: int) -> None:
        """Reports `done` of `total`; written when it moved by 1 % or more."""
        self.check()
        thousandths = min(1000, done * 1000 // total) if total > 0 else 0
        if thousandths - self._reported >= 10:
            self._ledger.progress(self.lease, thousandths)
            self._reported = thousandths

    def put(self, key: str, data: bytes | Path, content_type: str) -> ObjectInfo:
        """Stores an output under a content-keyed name, or finds it there already."""
        # Asks the database, not the flag: the flag may be a third of a lease old.
        self._ledger.extend(self.lease)
        # A taken name holds the same thing: names come from what the output is made from.
        with contextlib.suppress(ObjectExists):
            self.store.put(key, data, content_type, exclusive=True)
        found = self.store.head(key)
        if found is None:
            raise StorageError(f"{key} was stored, but the store does not have it")
        return found


JobFunction: TypeAlias = Callable[[JobContext], JobResult]
