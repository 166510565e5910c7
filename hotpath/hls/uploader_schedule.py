"""The uploader's loop: look into the spool, keep a few uploads in flight, note what is stored.

Invariant: a file is deleted only after its acknowledgement was noted in `acks.jsonl` (on a full
disk: at once after, from memory, because deleting is what makes room). Failures are tried again
for ever, the whole store's with one probe at a time, a single object's without holding up others.

Upstream: the doorbell and a look every second. Downstream: `uploader_transfer`.
"""

import os
import random
import select
import socket
import time
from contextlib import suppress
from pathlib import Path

import structlog

from hotpath.hls import uploader_metrics as metrics
from hotpath.hls.spool_journal import Journal, Record
from hotpath.hls.spool_layout import DOORBELL, SessionFolder
from hotpath.hls.uploader_listing import (
    acknowledged,
    clear_done,
    keep_aside,
    list_spool,
    remove_session,
)
from hotpath.hls.uploader_scan import Upload, backlog, next_uploads, plan, removable
from hotpath.hls.uploader_transfer import Outcome, Result, TransferPool
from infra.storage.objects import ObjectStore
from infra.telemetry.stages import observe_stage

log = structlog.get_logger(__name__)

SCAN_S = 1.0
BACKOFF_MAX_S = 5.0
STOP_S = 4.5
_SCAN_SHARE = 5
"""A look at a large backlog may take one part in this many of the time."""


def backoff_s(failures: int) -> float:
    """Seconds before attempt `failures` + 1, with jitter so that nodes do not retry in step."""
    return float(min(BACKOFF_MAX_S, 0.25 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))  # noqa: S311


class Uploader:
    """Empties one spool folder into one bucket until told to stop."""

    def __init__(self, root: Path, store: ObjectStore, slots: int = 4) -> None:
        self._root = root
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._pool = TransferPool(store, slots, self.wake)
        self._doorbell = _bind_doorbell(root / DOORBELL)
        self._stopping = False
        self._planned: list[Upload] = []
        self._busy: dict[str, Upload] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._outages = 0
        self._retry_at = 0.0
        self._scan_at = 0.0
        self._rested_at = 0.0
        """When the next look may come at the earliest, so that looking stays cheap."""
        self._acks: dict[SessionFolder, Journal] = {}
        self._owed_acks: list[tuple[SessionFolder, Record]] = []
        self._strangers: set[str] = set()
        self._fresh = True
        """What an earlier life noted was not looked at yet."""
        self.spool_error: str | None = None
        """Why the spool cannot be read."""

    def wake(self) -> None:
        """Make the loop look up; from any thread or a signal handler."""
        # Full: it will look up anyway. Closed: it has ended, and a last upload or signal came in.
        with suppress(OSError):
            self._wake_in.send(b"\n")

    def stop(self) -> None:
        """End `run` as soon as what is in flight has finished, or STOP_S later."""
        self._stopping = True
        self.wake()

    def run(self) -> None:
        """Returns after `stop`."""
        while not self._stopping:
            self._step(time.monotonic())
        deadline = time.monotonic() + STOP_S
        while self._busy and (left := deadline - time.monotonic()) > 0:
            self._wait(left)
            self._settle_outcomes(time.monotonic())
        if self._busy:
            log.warning("stopped with uploads in flight", uploads=len(self._busy))
        self._close()

    def _step(self, now: float) -> None:
        self._settle_outcomes(now)
        self._settle_acks()
        if now >= self._scan_at:
            self._scan(now)
        self._dispatch(now)
        self._wait(self._pause(time.monotonic()))

    # -- looking --------------------------------------------------------------------------------

    def _scan(self, now: float) -> None:
        try:
            if self._fresh:
                self._forget_stored()
            listing = list_spool(self._root)
        except OSError as error:
            if self.spool_error is None:
                log.error("the spool cannot be read", error=str(error))
            self.spool_error = str(error)
            self._scan_at = now + SCAN_S
            return
        self.spool_error = None
        self._planned = plan(listing)
        known = {upload.file.key for upload in self._planned}
        self._failures = {k: n for k, n in self._failures.items() if k in known}
        self._not_before = {k: t for k, t in self._not_before.items() if k in known}
        metrics.report_backlog(backlog(listing))
        self._report_strangers({name for session in listing for name in session.strangers})
        for folder in removable(listing):
            self._remove(folder)
        ended = time.monotonic()
        self._rested_at = ended + _SCAN_SHARE * (ended - now)
        self._scan_at = max(self._rested_at, ended + SCAN_S)

    def _look_soon(self) -> None:
        self._scan_at = min(self._scan_at, self._rested_at)

    def _report_strangers(self, found: set[str]) -> None:
        new = found - self._strangers
        self._strangers = found
        if new:
            log.warning("files that do not belong into the spool", count=len(new), first=min(new))

    def _remove(self, folder: SessionFolder) -> None:
        if folder in self._acks:
            self._acks.pop(folder).close()
        try:
            remove_session(folder)
        except OSError as error:
            log.warning("a finished session stays", session=str(folder.path), error=str(error))

    # -- sending --------------------------------------------------------------------------------

    def _dispatch(self, now: float) -> None:
        if now < self._retry_at:
            return
        slots = 1 if self._outages else self._pool.slots
        free = slots - len(self._busy)
        for upload in next_uploads(self._planned, self._busy, self._not_before, now, free):
            self._busy[upload.file.key] = upload
            self._pool.submit(upload)

    def _settle_outcomes(self, now: float) -> None:
        for outcome in self._pool.outcomes():
            self._busy.pop(outcome.upload.file.key)
            self._settle(outcome, now)
            if not self._planned:
                # All is stored: a manifest may have become due.
                self._look_soon()

    def _settle(self, outcome: Outcome, now: float) -> None:
        upload, key = outcome.upload, outcome.upload.file.key
        if outcome.result in (Result.FAILED, Result.UNREACHABLE):
            metrics.FAILURES.inc()
            self._back_off(outcome, now)
            return
        if self._outages:
            log.info("the object store answers again")
        self._outages, self._retry_at = 0, 0.0
        self._planned = [planned for planned in self._planned if planned.file.key != key]
        try:
            if outcome.result is Result.STORED:
                self._acknowledge(upload)
            elif outcome.result is Result.CONFLICT:
                self._set_aside(upload)
        except OSError as error:
            # The object is stored; the next attempt finds it and comes back here.
            self._back_off(Outcome(upload, Result.FAILED, str(error)), now)

    def _back_off(self, outcome: Outcome, now: float) -> None:
        if outcome.result is Result.UNREACHABLE:
            if self._outages == 0:
                log.warning("the object store cannot be reached", error=outcome.detail)
            if now >= self._retry_at:
                self._outages += 1
                self._retry_at = now + backoff_s(self._outages)
            return
        key = outcome.upload.file.key
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        self._not_before[key] = now + backoff_s(failures)
        if failures == 1:
            log.warning("an upload failed and will be tried again", error=outcome.detail)

    # -- acknowledging --------------------------------------------------------------------------

    def _acknowledge(self, upload: Upload) -> None:
        self._note(upload.folder, {"key": upload.file.key, "bytes": upload.file.bytes})
        upload.path.unlink(missing_ok=True)
        metrics.UPLOADS.inc()
        metrics.UPLOADED_BYTES.inc(upload.file.bytes)
        if upload.is_segment:
            observe_stage("uploaded", (time.time_ns() - upload.file.modified_ns) / 1e9)

    def _set_aside(self, upload: Upload) -> None:
        kept = keep_aside(self._root, upload.file.key)
        metrics.CONFLICTS.inc()
        log.error("other bytes have this key; nothing was overwritten", kept=str(kept))
        self._note(upload.folder, {"key": upload.file.key, "conflict": True})

    def _note(self, folder: SessionFolder, record: Record) -> None:
        if any(owing == folder for owing, _ in self._owed_acks):
            # In order, so that the manifest's stays the last.
            self._owed_acks.append((folder, record))
            return
        try:
            if folder not in self._acks:
                self._acks[folder] = Journal(folder.acks)
            self._acks[folder].append(record)
        except OSError as error:
            if not folder.path.exists():
                return
            log.warning("an acknowledgement cannot be noted yet", error=str(error))
            self._owed_acks.append((folder, record))

    def _settle_acks(self) -> None:
        owed, self._owed_acks = self._owed_acks, []
        for folder, record in owed:
            self._note(folder, record)

    def _forget_stored(self) -> None:
        """Delete what an earlier life noted as stored and had no time to delete."""
        clear_done(self._root)
        for session in list_spool(self._root):
            stored = acknowledged(session.folder)
            for file in (*session.files, *([session.manifest] if session.manifest else [])):
                if file.key in stored:
                    (self._root / file.key).unlink(missing_ok=True)
        self._fresh = False

    # -- waiting --------------------------------------------------------------------------------

    def _pause(self, now: float) -> float:
        due = [self._scan_at, *([self._retry_at] if self._retry_at > now else [])]
        return max(0.0, min(due) - now)

    def _wait(self, seconds: float) -> None:
        ready, _, _ = select.select(self._ears(), [], [], seconds)
        for sock in ready:
            with suppress(BlockingIOError):
                while sock.recv(4096):
                    pass
            if sock is self._doorbell:
                self._look_soon()

    def _ears(self) -> list[socket.socket]:
        return [self._wake_out, *([self._doorbell] if self._doorbell else [])]

    def _close(self) -> None:
        self._pool.close()
        for journal in self._acks.values():
            journal.close()
        for sock in (*self._ears(), self._wake_in):
            sock.close()
        (self._root / DOORBELL).unlink(missing_ok=True)


def _bind_doorbell(path: Path) -> socket.socket | None:
    doorbell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    path.unlink(missing_ok=True)
    try:
        doorbell.bind(os.fspath(path))
    except OSError as error:
        doorbell.close()
        log.warning("no doorbell; new files are found within a second", error=str(error))
        return None
    return doorbell
