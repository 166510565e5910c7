"""Keeps the lease of an attempt while its function runs.

Upstream: `coldpath.runner`. Downstream: `coldpath.ledger`.
"""

import logging
import threading
import time
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError

from coldpath.errors import LeaseLost
from coldpath.ledger import Ledger
from coldpath.records import Lease

log = logging.getLogger(__name__)


class LeaseKeeper:
    """Keeps a lease while its function runs, from a thread of its own.

    `lost` is set when the ledger says so, or when the ledger could not be asked for so long that
    the lease has run out.
    """

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self.lost = threading.Event()
        self._ledger = ledger
        self._lease = lease
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def _keep(self) -> None:
        duration_s = self._ledger.lease_ms / 1000
        kept = time.monotonic()
        while not self._done.wait(duration_s / 3):
            try:
                self._ledger.extend(self._lease)
                kept = time.monotonic()
            except LeaseLost:
                self.lost.set()
                return
            except DBAPIError as error:
                log.warning("%s: cannot reach the ledger: %s", self._lease.job, error)
                if time.monotonic() - kept > duration_s:
                    self.lost.set()
                    return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
