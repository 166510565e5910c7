"""Sends files to the object store on a few threads.

Invariant: every upload that was submitted comes back as one `Outcome`. A key that is taken by the
very bytes of the file counts as stored: an earlier life sent them and died before it noted so.

Upstream: `uploader_schedule`. Downstream: `infra.storage`.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from hotpath.hls import uploader_traces as traces
from hotpath.hls.uploader_scan import Upload
from infra.errors import ObjectExists, StorageError
from infra.storage.objects import ObjectStore
from infra.telemetry import tracing


class Result(Enum):
    STORED = "stored"
    CONFLICT = "conflict"
    """Other bytes have the key."""
    FAILED = "failed"
    """The store works and refused this object, or the file cannot be read."""
    UNREACHABLE = "unreachable"
    """The store does not work at all."""
    VANISHED = "vanished"
    """The file is no longer there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    upload: Upload
    result: Result
    detail: str = ""


def send(store: ObjectStore, upload: Upload) -> Outcome:
    """One attempt."""
    try:
        store.put(upload.file.key, upload.path, upload.content_type)
    except ObjectExists as error:
        return _compare(store, upload, str(error))
    except StorageError as error:
        return _failed(store, upload, str(error))
    except OSError as error:
        return _unreadable(upload, error)
    return Outcome(upload, Result.STORED)


def _compare(store: ObjectStore, upload: Upload, detail: str) -> Outcome:
    try:
        same = store.holds(upload.file.key, upload.path)
    except StorageError as error:
        return _failed(store, upload, str(error))
    except OSError as error:
        return _unreadable(upload, error)
    return Outcome(upload, Result.STORED if same else Result.CONFLICT, detail)


def _unreadable(upload: Upload, error: OSError) -> Outcome:
    gone = isinstance(error, FileNotFoundError)
    return Outcome(upload, Result.VANISHED if gone else Result.FAILED, str(error))


def _failed(store: ObjectStore, upload: Upload, detail: str) -> Outcome:
    try:
        store.check()
    except StorageError as error:
        return Outcome(upload, Result.UNREACHABLE, str(error))
    return Outcome(upload, Result.FAILED, detail)


class TransferPool:
    """`slots` daemon threads: one that hangs in a dead connection does not keep the process."""

    def __init__(self, store: ObjectStore, slots: int, on_outcome: Callable[[], None]) -> None:
        """`on_outcome` is called on a pool thread whenever `outcomes` has something new."""
        self.slots = slots
        self._store = store
        self._on_outcome = on_outcome
        self._waiting: queue.SimpleQueue[Upload | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        for number in range(slots):
            threading.Thread(target=self._work, name=f"upload-{number}", daemon=True).start()

    def submit(self, upload: Upload) -> None:
        """The caller submits no more than `slots` at a time."""
        self._waiting.put(upload)

    def outcomes(self) -> list[Outcome]:
        """What finished since the last call."""
        finished = []
        while not self._outcomes.empty():
            finished.append(self._outcomes.get())
        return finished

    def close(self) -> None:
        for _ in range(self.slots):
            self._waiting.put(None)

    def _work(self) -> None:
        while (upload := self._waiting.get()) is not None:
            self._outcomes.put(self._sent(upload))
            self._on_outcome()

    def _sent(self, upload: Upload) -> Outcome:
        if not traces.is_told(upload.file.key):
            return send(self._store, upload)
        with tracing.span("upload", kind="client", parent=traces.of(upload.folder)) as span:
            outcome = send(self._store, upload)
            span.note({"livepath.key": upload.file.key, "livepath.bytes": upload.file.bytes})
            if outcome.result is not Result.STORED:
                span.failed(outcome.result.value)
            return outcome
