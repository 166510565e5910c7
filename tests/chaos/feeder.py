"""Does the deeds of a workload in time: what media nodes and the control API do, on a thread.

Both are patient: what cannot be stored or filed now is tried again until it is, as an uploader and
a client do. The bell is rung once; nobody waits for it.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infra.db.jobs import Job
from infra.errors import ObjectExists, StorageError
from infra.events.bell import CHANNEL
from infra.jobs.filing import insert_new, job_row
from infra.storage.objects import ObjectStore
from tests.chaos.clean import add_event
from tests.chaos.workload import Ask, Begin, Deed, Put, Workload

T = TypeVar("T")
_AGAIN_S = 0.2
PATIENCE_S = 60.0


def patiently(what: Callable[[], T]) -> T:
    """The answer of a database or a store that may be away for a while."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return what()
        except (DBAPIError, StorageError):
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)


class Feeder:
    """`done` and `failure` say how far it is."""

    def __init__(self, work: Workload, engine: Engine, store: ObjectStore, broker_url: str) -> None:
        self.done = 0
        self.failure: Exception | None = None
        self._deeds = work.deeds
        self._engine = engine
        self._store = store
        self._client = redis.Redis.from_url(broker_url, socket_timeout=1, socket_connect_timeout=1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder")

    @property
    def busy(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            for deed in self._deeds:
                if self._stop.wait(max(0.0, began + deed.at_s - time.monotonic())):
                    return
                patiently(partial(self._do, deed))
                self.done += 1
        except Exception as error:  # noqa: BLE001 (the run's thread reports it)
            self.failure = error

    def _do(self, deed: Deed) -> None:
        match deed:
            case Put():
                try:
                    self._store.put(deed.key, deed.data, deed.content_type)
                except ObjectExists:
                    return
            case Begin():
                with Session(self._engine) as session, session.begin():
                    program = deed.program
                    add_event(session, program.project, program.event, now=_now_ms())
            case Ask():
                with Session(self._engine) as session, session.begin():
                    insert_new(session, Job, job_row(deed.request, _now_ms()))
                self._ring()

    def _ring(self) -> None:
        try:
            self._client.publish(CHANNEL, "")
        except redis.RedisError:
            return


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
