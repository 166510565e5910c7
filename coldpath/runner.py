"""Runs one job: lease, function, outcome. Knows nothing of Celery.

Invariant: whatever a function does, the ledger learns one outcome of the attempt, or the lease runs
out and the dispatcher gives the job to another attempt.

Upstream: `coldpath.worker` (a delivery named the job). Downstream: `coldpath.ledger` and the
function that is bound to the job.
"""

import errno
import logging
import os
import time
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, StatementError

from coldpath.binding import Registry
from coldpath.context import Ends, JobContext, JobFunction
from coldpath.errors import (
    ColdPathError,
    Interrupted,
    LeaseLost,
    NoSpace,
    PermanentFailure,
    RetryLater,
    StoreAway,
    TookTooLong,
)
from coldpath.lease_keeper import LeaseKeeper
from coldpath.ledger import Ledger
from coldpath.log_tail import LogTail
from coldpath.metering import MeteredStore
from coldpath.own_keys import require_own
from coldpath.records import JobResult, Lease
from coldpath.scratch import folder_of, lives
from coldpath.spent import Spent
from coldpath.storable import require_storable_result, said
from infra.db.outage import is_outage
from infra.errors import LivepathError, StorageBusy, StorageError
from infra.storage.objects import ObjectStore
from infra.telemetry import tracing
from infra.telemetry.tracing import Span

log = logging.getLogger(__name__)

T = TypeVar("T")
_AGAIN_S = 0.2
"""Between two tries to tell a database that is away."""
AWAY_MS, AWAY_MOST_MS = 5_000, 300_000
"""Until the next attempt at a job, when one found the store or the database away; twice as long
after each that did, up to the second."""
BUSY_MOST = 30
"""Attempts that do not count although the store itself answers: about two hours of them."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SIGNALS = 64


class Outcome(StrEnum):
    NOT_MINE = "not-mine"
    """Done already, not due, or somebody alive works on it."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    HANDED_BACK = "handed-back"
    """The worker is about to go; another one goes on from the checkpoint."""
    POSTPONED = "postponed"
    """Object store or database are away, or the disk is full; the job is tried again when that may
    be over."""


class Runner:
    """Runs jobs in this process, one at a time."""

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        registry: Registry[JobFunction],
        *,
        scratch: Path,
        worker: str,
        stopping: Callable[[], bool] = lambda: False,
        too_long: type[Exception] = TookTooLong,
    ) -> None:
        """`too_long`: what whoever watches the time raises in the middle of a function."""
        self._ledger = ledger
        self._store = store
        self._registry = registry
        self._scratch = scratch
        self._worker = worker
        self._stopping = stopping
        self._too_long = too_long

    def run(self, job: str, traceparent: str | None = None) -> Outcome:
        """Works on the job if it is to be had, as part of the trace of its delivery."""
        lease = self._patiently(job, lambda: self._lease(job))
        if lease is None:
            return Outcome.NOT_MINE
        parent = traceparent or lease.traceparent
        with tracing.span(f"job {lease.function}", kind="consumer", parent=parent) as span:
            outcome = self._logged(lease)
            _describe(span, lease, outcome)
            return outcome

    def _lease(self, job: str) -> Lease | None:
        owner = f"{self._worker}/{os.getpid()}"
        return self._ledger.lease(job, owner, dead_owner=self._dead_owner(job))

    def _logged(self, lease: Lease) -> Outcome:
        try:
            with LogTail() as tail:
                log.info(
                    "%s: %s of %s, attempt %d",
                    *(lease.job, lease.function, lease.input_key, lease.attempt),
                )
                return self._attempt(lease, tail)
        except LeaseLost as error:
            log.warning("%s", error)
            return Outcome.LOST

    def _attempt(self, lease: Lease, tail: LogTail) -> Outcome:
        store, began = MeteredStore(self._store), Spent.now()
        try:
            result = self._call(lease, store)
        except LeaseLost:
            raise
        except Interrupted as error:
            log.warning("%s", error)
            self._patiently(lease.job, lambda: self._ledger.release(lease, tail.text))
            return Outcome.HANDED_BACK
        except StoreAway as error:
            return self._postponed(lease, error, tail)
        except self._too_long:
            words = TookTooLong(f"{lease.function} took longer than {lease.timeout_s} s")
            return self._failed(lease, words, tail)
        except LivepathError as error:
            permanent = isinstance(error, PermanentFailure)
            return self._failed(lease, error, tail, permanent=permanent)
        except Exception as error:
            # A function may be anybody's code; its bug is this job's failure, not the worker's.
            log.exception("%s: %s failed", lease.job, lease.function)
            return self._failed(lease, error, tail)
        cost = {
            **Spent.now().since(began),
            "bytes_in": store.bytes_in,
            "bytes_out": store.bytes_out,
        }
        return self._succeeded(lease, result, cost, tail)

    def _succeeded(
        self, lease: Lease, result: JobResult, cost: Mapping[str, int], tail: LogTail
    ) -> Outcome:
        log.info("%s: %s succeeded in %d ms", lease.job, lease.function, cost["wall_ms"])
        try:
            self._patiently(lease.job, lambda: self._ledger.succeed(lease, result, cost, tail.text))
        except StatementError as error:
            if isinstance(error, DBAPIError) and is_outage(error):
                raise
            # A result that the database refuses is a failure, and no worker that died.
            return self._failed(lease, error, tail)
        return Outcome.SUCCEEDED

    def _call(self, lease: Lease, store: ObjectStore) -> JobResult:
        bound = self._registry.get(lease.function)
        if bound is None:
            why = "; ".join(self._registry.broken.values()) or "is it up to date?"
            raise RetryLater(f"this worker has no function {lease.function!r}: {why}")
        self._ledger.start(lease)
        with LeaseKeeper(self._ledger, lease) as keeper:
            ends = Ends(keeper.lost, self._stopping)
            result = self._run(bound.run, lease, store, ends)
        require_storable_result(result)
        for asset in result.assets:
            require_own(lease, asset.key)
        return result

    def _run(
        self, function: JobFunction, lease: Lease, store: ObjectStore, ends: Ends
    ) -> JobResult:
        """An outage of minutes must not use up the attempts of every job that meets it."""
        try:
            with folder_of(lease.job, self._scratch) as folder:
                return function(JobContext(lease, self._ledger, store, folder, ends))
        except (LeaseLost, Interrupted, PermanentFailure):
            raise
        except (SystemExit, CancelledError, GeneratorExit) as error:
            if isinstance(error, SystemExit) and _is_signal(error):
                raise
            raise ColdPathError(f"the function ended its process: {said(error)}") from error
        except Exception as error:
            # Asked while the lease is still kept: a store that hangs takes its time.
            if self._is_passing(error, lease) or self._store_is_away():
                raise StoreAway(said(error)) from error
            raise

    def _is_passing(self, error: Exception, lease: Lease) -> bool:
        """A store, a database or a disk that refuses just this, just now. It may do so for ever."""
        busy = isinstance(error, StorageBusy | NoSpace)
        busy = busy or (isinstance(error, DBAPIError) and is_outage(error))
        busy = busy or (isinstance(error, OSError) and error.errno in _FULL)
        return busy and lease.postponed < BUSY_MOST

    def _store_is_away(self) -> bool:
        try:
            self._store.check()
        except StorageError:
            return True
        return False

    def _postponed(self, lease: Lease, error: StoreAway, tail: LogTail) -> Outcome:
        log.warning("%s: the attempt does not count: %s", lease.job, error)
        pause = min(AWAY_MS << min(lease.postponed, 10), AWAY_MOST_MS)
        self._patiently(
            lease.job,
            lambda: self._ledger.postpone(lease, str(error), delay_ms=pause, log=tail.text),
        )
        return Outcome.POSTPONED

    def _failed(
        self, lease: Lease, error: Exception, tail: LogTail, *, permanent: bool = False
    ) -> Outcome:
        reason = said(error)
        bound = self._registry.get(lease.function)
        pause = None if bound is None else bound.terms.pause_ms(lease.attempt)
        log.warning("%s: attempt %d failed: %s", lease.job, lease.attempt, reason)
        state = self._patiently(
            lease.job,
            lambda: self._ledger.fail(
                lease, reason, permanent=permanent, delay_ms=pause, log=tail.text
            ),
        )
        log.warning("%s: is %s", lease.job, state)
        return Outcome.FAILED

    def _patiently(self, job: str, asked: Callable[[], T]) -> T:
        """What the ledger answers: while the database is away, asked again and again for as long as
        a lease lasts, for the work may have taken an hour, and a delivery comes once."""
        until = time.monotonic() + self._ledger.lease_ms / 1000
        while True:
            try:
                return asked()
            except DBAPIError as error:
                if not is_outage(error) or time.monotonic() > until:
                    raise
                log.warning("%s: cannot reach the ledger: %s", job, error)
                time.sleep(_AGAIN_S)

    def _dead_owner(self, job: str) -> str | None:
        """The holder of the job if it was a process of this worker that is no more: its delivery
        came back at once, and waiting for the lease to run out would gain nothing."""
        owner = self._ledger.owner(job)
        if owner is None or not owner.startswith(f"{self._worker}/"):
            return None
        pid = int(owner.rpartition("/")[2])
        return None if pid != os.getpid() and lives(pid) else owner


def _describe(span: Span, lease: Lease, outcome: Outcome) -> None:
    span.note(
        {
            "livepath.project": lease.project,
            "livepath.event": lease.event,
            "livepath.job": lease.job,
            "livepath.function": lease.function,
            "livepath.attempt": lease.attempt,
            "livepath.outcome": outcome.value,
        }
    )
    if outcome in (Outcome.FAILED, Outcome.LOST):
        span.failed(outcome.value)


def _is_signal(error: SystemExit) -> bool:
    """Whether the pool ends this process by a signal: its status is then 256 less than the signal's
    number, below 0. Otherwise a function has called `sys.exit`."""
    return isinstance(error.code, int) and -256 < error.code <= _SIGNALS - 256
