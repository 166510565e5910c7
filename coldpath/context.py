"""What a function gets to work with, and the only ways in which it touches the world.

Invariant: an attempt that lost its lease raises `LeaseLost` at its next progress report or output
and writes no further object. One whose worker is about to go raises `Interrupted` at its next
checkpoint, and only there. None writes an object of another event.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from coldpath.errors import Interrupted, LeaseLost, NoSpace
from coldpath.ledger import Ledger
from coldpath.own_keys import require_own
from coldpath.records import JobResult, Lease
from coldpath.storable import require_storable
from infra.errors import ObjectExists, StorageError
from infra.storage.objects import ObjectInfo, ObjectStore

SPARE_BYTES = 256 << 20
_REPORT_EVERY_S = 0.25
"""A write is a transaction: one for each per cent would cost a quick job more than its work."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Why an attempt may have to end before its work does."""

    lost: threading.Event
    """Another attempt owns the job, or it was cancelled."""
    stopping: Callable[[], bool] = lambda: False
    """The worker is about to go."""


class JobContext:
    """One attempt's view: its input, the store, a scratch folder of its own."""

    def __init__(
        self,
        lease: Lease,
        ledger: Ledger,
        store: ObjectStore,
        scratch: Path,
        ends: Ends,
    ) -> None:
        self.lease = lease
        self.store = store
        self.scratch = scratch
        """Empty at the start, removed at the end."""
        self._ledger = ledger
        self._ends = ends
        self._reported = 0
        self._reported_at = -_REPORT_EVERY_S

    @property
    def params(self) -> Mapping[str, Any]:
        """What the client asked for."""
        return self.lease.params

    @property
    def resumed(self) -> Mapping[str, Any]:
        """The last checkpoint of an earlier attempt; empty when there is none."""
        return self.lease.checkpoint or {}

    def checkpoint(self, done: Mapping[str, Any]) -> None:
        """Notes in the ledger what need not be done again: JSON of a few kilobytes, media in
        objects that it names. Where the worker is about to go, this is where the attempt ends."""
        self.check()
        require_storable("what the checkpoint notes", dict(done))
        self._ledger.checkpoint(self.lease, done)
        if self._ends.stopping():
            raise Interrupted(f"{self.lease.job}: the worker has to stop; another one goes on")

    def check(self) -> None:
        """Raises `LeaseLost` when another attempt owns the job or it was cancelled."""
        if self._ends.lost.is_set():
            raise LeaseLost(f"{self.lease.job}: attempt {self.lease.fence} lost its lease")

    def progress(self, done: int, total: int) -> None:
        """Reports `done` of `total`; written when it moved by 1 % or more, a few times a second."""
        self.check()
        thousandths = min(1000, done * 1000 // total) if total > 0 else 0
        now = time.monotonic()
        if thousandths - self._reported >= 10 and now - self._reported_at >= _REPORT_EVERY_S:
            self._ledger.progress(self.lease, thousandths)
            self._reported, self._reported_at = thousandths, now

    def require_space(self, size: int) -> None:
        """Before so many bytes are written to `scratch`: raises `NoSpace` unless its disk has them
        and keeps `SPARE_BYTES` for whoever else writes there, such as a media node."""
        free = shutil.disk_usage(self.scratch).free
        if free < size + SPARE_BYTES:
            raise NoSpace(
                f"{size >> 20} MiB do not fit on the disk of this worker, which has "
                f"{free >> 20} MiB and keeps {SPARE_BYTES >> 20}: free some, or put "
                "LIVEPATH_DATA_DIR on a larger one"
            )

    def put(self, key: str, data: bytes | Path, content_type: str) -> ObjectInfo:
        """Stores an output under a content-keyed name, or finds it there already. Raises
        `KeyRefused` for a name that is not of the job's own event (`coldpath.own_keys`)."""
        require_own(self.lease, key)
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
