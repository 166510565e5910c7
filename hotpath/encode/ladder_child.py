"""The parent's side of a ladder's child: what it is given, and what it says.

Invariant: `send` never waits and holds no more than its bounds. Whatever the child says reaches
`on_message` in order, on the event loop; after `close` nothing does. A child that crashes is
replaced, a few times. After `drain` the child is given what waits and then the end of its input: it
sends what it still has, and is gone.

Upstream: `ladder`. Downstream: `ladder_worker`, in another process.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import structlog

from hotpath.encode.ladder_job import LadderJob
from hotpath.encode.ladder_records import Fed, LadderMessage, LadderReader, pack
from hotpath.encode.life import READ, Life
from hotpath.encode.records import Counts, Failure
from hotpath.encode.supply import Supply
from hotpath.media.records import RecordError

log = structlog.get_logger(__name__)

COMMAND = (sys.executable, "-m", "hotpath.encode.ladder_worker")
MAX_UNITS = 1024
MAX_BYTES = 16 * 1024 * 1024


class LadderChild:
    """One job, in one child after the other; see the module for the invariant."""

    def __init__(
        self,
        job: LadderJob,
        *,
        on_message: Callable[[LadderMessage], None],
        on_failed: Callable[[], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.job = job
        self._on_message = on_message
        self._life = Life("ladder", command, self, on_failed)
        self._supply = Supply[Fed](pack, video=True, max_units=MAX_UNITS, max_bytes=MAX_BYTES)

    @property
    def counts(self) -> Counter[str]:
        """What its children counted, and units that never reached one."""
        return self._supply.counts

    @property
    def pid(self) -> int | None:
        return self._life.pid

    @property
    def restarts(self) -> int:
        return self._life.restarts

    @property
    def waiting(self) -> int:
        """Units that the child has not been given yet."""
        return len(self._supply)

    def send(self, fed: Fed) -> None:
        if not self._life.closed and not self._supply.draining:
            self._supply.offer((fed,))

    def give(self, cores: float) -> None:
        """It may take so many; before `run`."""
        self.job = replace(self.job, cores=cores)

    def narrow(self, rungs: Collection[str]) -> None:
        """Its next child is to begin with these rungs of the job only."""
        kept = tuple(rung for rung in self.job.rungs if rung.name in rungs)
        self.job = replace(self.job, rungs=kept)

    def drain(self) -> None:
        """Nothing more comes."""
        self._supply.drain()

    def close(self) -> None:
        """Nothing is wanted any more; `run` returns."""
        self._life.close()

    async def run(self) -> None:
        """Owns the child. Until drained, closed, failed, or cancelled."""
        try:
            await self._life.run()
        finally:
            self._life.close()

    # -- what Life asks for ------------------------------------------------------------------

    def ended(self, *, restart: bool) -> None:
        self._supply.ended(restart=restart)

    async def feed(self, writer: asyncio.StreamWriter) -> None:
        writer.write(pack(self.job))
        await self._supply.feed(writer)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        messages = LadderReader()
        while data := await reader.read(READ):
            for message in messages.receive(data, time.time_ns()):
                self._hear(message)
        if self._supply.draining:
            self.close()

    def _hear(self, message: LadderMessage) -> None:
        match message:
            case Counts(totals):
                self._supply.counted(totals)
            case Failure(words):
                self._life.last_words = words
            case LadderJob() | Fed():
                raise RecordError("the child sent what only its parent may")
            case _ if not self._life.closed:
                self._deliver(message)

    def _deliver(self, message: LadderMessage) -> None:
        try:
            self._on_message(message)
        except Exception:
            log.exception("a ladder failed on what its child said")
