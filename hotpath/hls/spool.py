"""The spool: finished media on local disk until the object store has acknowledged it.

Invariant: calls of a `SpoolSession` never block and never raise for a full disk; every part that
the append thread has taken survives `kill -9`, usually within a millisecond of the call, however
long the disk takes to sync earlier ones, for which another thread waits (the settler); a finished
file never changes and is deleted by the uploader only, after the object store acknowledged it.
What could not be kept is listed as a hole.

Upstream: `packager`, which calls the `Recorder` methods on the event loop. Downstream: the
uploader, another process that shares nothing but the folder (`spool_layout`).
"""

import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hotpath.hls.recorder import HoleReason
from hotpath.hls.spool_capacity import Capacity
from hotpath.hls.spool_health import OnDegraded, OnRestored, RecordingHealth
from hotpath.hls.spool_layout import DOORBELL, LIVE, SessionFolder
from hotpath.hls.spool_ledger import SessionLedger
from hotpath.hls.spool_lock import take_media_lock
from hotpath.hls.spool_queue import WriteQueue
from hotpath.hls.spool_recovery import unsealed_sessions
from hotpath.hls.spool_segment import PartInfo
from hotpath.hls.spool_session import SessionFiles
from hotpath.hls.spool_settler import Doorbell, SpoolSettler
from hotpath.hls.spool_writer import SpoolWriter
from hotpath.media.unit import Format
from infra.errors import LivepathError
from infra.keys import ProgramKey

QUEUE_BYTES = 64 * 1024 * 1024
QUEUE_OPERATIONS = 8192
RESERVE_BYTES = 64 * 1024 * 1024


class IncarnationReused(LivepathError):
    """An incarnation names one life of a programme; its folder exists already."""


class Spool:
    """The spool folder of one media node, with its two threads.

    `on_degraded(key, reason)` tells that media of a programme is being lost, once until
    `on_restored(key)` tells that a whole segment was recorded again. Both are called on the spool's
    threads, `on_degraded` also inside a `SpoolSession` call when the disk hangs; they must be quick
    and must not raise.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        on_degraded: OnDegraded,
        on_restored: OnRestored,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        """`reserve_bytes` must be free on the disk before recording goes on after it was full."""
        (root / LIVE).mkdir(parents=True, exist_ok=True)
        self.root = root
        self._lock = take_media_lock(root)
        self._queue = WriteQueue(queue_bytes, QUEUE_OPERATIONS)
        self._callbacks = (on_degraded, on_restored)
        self._capacity = Capacity(root / LIVE, max_bytes, reserve_bytes)
        self._doorbell = Doorbell(root / DOORBELL)
        self._settler = SpoolSettler(self._doorbell, unsealed_sessions(root))
        self._writer = SpoolWriter(self._queue, self._capacity, self._settler)
        self._settler.start()
        self._writer.start()

    def open_session(
        self,
        key: ProgramKey,
        incarnation: str,
        previous: Sequence[str],
        *,
        started_ns: int,
        target_duration_s: int,
        traceparent: str | None = None,
    ) -> "SpoolSession":
        """A new session whose folder is durable on return. Waits for the disk: use a thread.

        A disk that refuses is no error: recording starts when it has recovered.
        """
        folder = SessionFolder(self.root, key, incarnation)
        if folder.path.exists():
            raise IncarnationReused(f"{folder.path} exists; take a higher incarnation")
        header: dict[str, Any] = {
            "kind": "session",
            "version": 1,
            "project": key.project,
            "event": key.event,
            "feed": key.feed,
            "incarnation": incarnation,
            "previous": list(previous),
            "started_ns": started_ns,
            "target_duration_s": target_duration_s,
            "traceparent": traceparent,
        }
        health = RecordingHealth(key, *self._callbacks)
        ledger = SessionLedger(folder, header, health, self._capacity, self._doorbell.ring)
        ledger.settle()
        files = SessionFiles(ledger)
        self._queue.force(partial(self._writer.open, files))
        return SpoolSession(files, self._writer, self._queue)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything given so far was handled; False if that took too long."""
        done = threading.Event()
        self._queue.force(partial(self._settler.flush, done))
        return done.wait(timeout_s)

    def close(self, timeout_s: float = 3.0) -> bool:
        """Write what is queued and stop; False if the disk did not finish in time.

        Sessions that were not sealed are left to `recover`.
        """
        deadline = time.monotonic() + timeout_s
        self._queue.close()
        ended = self._writer.join(timeout_s)
        ended = self._settler.join(max(0.0, deadline - time.monotonic())) and ended
        os.close(self._lock)
        return ended


class SpoolSession:
    """One incarnation's `Recorder`. Its methods belong to one thread, the event loop's."""

    def __init__(self, files: SessionFiles, writer: SpoolWriter, queue: WriteQueue) -> None:
        self._files = files
        self._writer = writer
        self._queue = queue
        self._dropped: dict[str, tuple[int, int]] = {}
        """Per rendition: first and last segment that the full queue refused, not yet told."""

    def init(self, format: Format, number: int, data: bytes) -> None:
        self._queue.force(partial(self._writer.init, self._files, format, number, data))

    def part(
        self,
        rendition: str,
        msn: int,
        part: int,
        data: bytes,
        *,
        init: int,
        start: int,
        duration: int,
        samples: int,
        independent: bool,
        discontinuity_seq: int,
        pdt_ns: int,
        ingest_ns: int,
    ) -> None:
        info = PartInfo(
            part=part,
            init=init,
            start=start,
            duration=duration,
            samples=samples,
            independent=independent,
            discontinuity_seq=discontinuity_seq,
            pdt_ns=pdt_ns,
            ingest_ns=ingest_ns,
        )
        if self._drops(rendition, msn):
            return
        operation = partial(self._writer.part, self._files, rendition, msn, info, data)
        if not self._queue.offer(operation, len(data)):
            self._dropped[rendition] = (msn, msn)
            self._files.health.lost(rendition, msn, "disk-error")

    def segment(self, rendition: str, msn: int, *, duration: int) -> None:
        if not self._drops(rendition, msn):
            self._queue.force(partial(self._writer.segment, self._files, rendition, msn, duration))

    def gap(self, rendition: str, msn: int, *, start: int, duration: int) -> None:
        # Refused by a full queue, a gap is found again as a missing number.
        self._queue.offer(partial(self._writer.gap, self._files, rendition, msn, start, duration))

    def hole(self, rendition: str, *, first_msn: int, last_msn: int, reason: HoleReason) -> None:
        operation = partial(self._writer.hole, self._files, rendition, first_msn, last_msn, reason)
        self._queue.force(operation)

    def seal(self, *, final: bool) -> None:
        for rendition in list(self._dropped):
            self._queue.force(self._loss(rendition))
        self._dropped.clear()
        self._queue.force(partial(self._writer.seal, self._files, final=final))

    def _drops(self, rendition: str, msn: int) -> bool:
        """Whether the queue refused the beginning of this segment. Tells the writer of earlier
        refusals as soon as the queue has room."""
        if rendition not in self._dropped:
            return False
        first, last = self._dropped[rendition]
        if msn <= last:
            return True
        if self._queue.offer(self._loss(rendition)):
            del self._dropped[rendition]
            return False
        self._dropped[rendition] = (first, msn)
        return True

    def _loss(self, rendition: str) -> partial[None]:
        first, last = self._dropped[rendition]
        return partial(self._writer.lose, self._files, rendition, first, last, "disk-error")
