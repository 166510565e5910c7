"""Opens and keeps incarnations: spool session, checkpoint, reserved numbers.

Invariant: an incarnation's spool folder is durable before its checkpoint names it, and the
checkpoint before the programme publishes. Disk work runs on threads; checkpoints of all programmes
on one, so that they are written in the order in which they were decided.

Upstream: `hotpath.node.programs`. Downstream: `hotpath.program.checkpoint`, `hotpath.hls.spool`.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from hotpath.hls.recorder import Recorder
from hotpath.hls.spool import Spool
from hotpath.hls.unrecorded import Unrecorded
from hotpath.program import checkpoint as files
from hotpath.program.checkpoint import Checkpoint, next_incarnation
from hotpath.program.service import Numbers
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Incarnation:
    """One life of a programme on this node."""

    key: ProgramKey
    checkpoint: Checkpoint
    numbers: Numbers
    recorder: Recorder
    saving: bool = False

    @property
    def name(self) -> str:
        return self.checkpoint.incarnation


class Incarnations:
    """The disk side of programmes; the methods belong to the event loop."""

    def __init__(
        self,
        folder: Path,
        spool: Spool,
        disk: Executor,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._folder = folder
        self._spool = spool
        self._disk = disk
        self._clock_ns = clock_ns
        self.problem: str | None = None
        """None while checkpoints can be written; a readiness check."""

    async def open(
        self,
        key: ProgramKey,
        *,
        epoch_ns: int,
        target_duration_s: int,
        earlier: Checkpoint | None = None,
        traceparent: str | None = None,
        recorded: bool = True,
    ) -> Incarnation:
        """A new incarnation, durable on return. Raises `OSError` when the disk refuses.

        `recorded`: of a programme's first one; later ones do as that did.
        """
        previous = (*earlier.previous, earlier.incarnation) if earlier else ()
        now_ns = self._clock_ns()
        fresh = Checkpoint(
            incarnation=next_incarnation(now_ns // 1_000_000, previous),
            previous=previous,
            msn_reserved=earlier.msn_reserved if earlier else 0,
            discontinuity_seq=earlier.discontinuity_seq + 1 if earlier else 0,
            epoch_ns=earlier.epoch_ns if earlier else epoch_ns,
            target_duration_s=earlier.target_duration_s if earlier else target_duration_s,
            open=True,
            recorded=earlier.recorded if earlier else recorded,
        )
        numbers = Numbers(fresh.msn_reserved, fresh.discontinuity_seq, fresh.epoch_ns)
        reserved = fresh.covering(numbers.msn, numbers.discontinuity_seq)
        recorder = await self._recorder(key, fresh, now_ns, traceparent)
        try:
            await self._save(key, reserved)
        except OSError as error:
            recorder.seal(final=False)
            self.problem = f"checkpoints cannot be written: {error}"
            raise
        self.problem = None
        return Incarnation(key, reserved, numbers, recorder)

    async def _recorder(
        self, key: ProgramKey, fresh: Checkpoint, now_ns: int, traceparent: str | None
    ) -> Recorder:
        if not fresh.recorded:
            return Unrecorded()
        return await asyncio.to_thread(
            self._spool.open_session,
            key,
            fresh.incarnation,
            fresh.previous,
            started_ns=now_ns,
            target_duration_s=fresh.target_duration_s,
            traceparent=traceparent,
        )

    def extension(
        self, incarnation: Incarnation, msn: int, discontinuity_seq: int
    ) -> Checkpoint | None:
        """The checkpoint that is due now that the programme has come so far, if one is."""
        if incarnation.saving:
            return None
        due = incarnation.checkpoint.covering(msn, discontinuity_seq)
        return None if due is incarnation.checkpoint else due

    async def extend(self, incarnation: Incarnation, due: Checkpoint) -> None:
        """Reserve further numbers. Live goes on if the disk refuses: recording says so itself."""
        incarnation.saving = True
        try:
            await self._save(incarnation.key, due)
            incarnation.checkpoint = due
            self.problem = None
        except OSError as error:
            self.problem = f"checkpoints cannot be written: {error}"
            log.error("numbers cannot be reserved", program=str(incarnation.key), why=str(error))
        finally:
            incarnation.saving = False

    async def finish(self, incarnation: Incarnation) -> None:
        """The programme is over and its last manifest is on the way: remember that it is over."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._spool.flush, 5.0)
        try:
            await self._save(
                incarnation.key, incarnation.checkpoint.model_copy(update={"open": False})
            )
        except OSError as error:
            self.problem = f"checkpoints cannot be written: {error}"
            log.error("the end cannot be noted", program=str(incarnation.key), why=str(error))

    async def forget(self, key: ProgramKey) -> None:
        """Control no longer knows the programme as open, so nobody can ask for it."""
        await asyncio.get_running_loop().run_in_executor(
            self._disk, files.forget, self._folder, key
        )

    async def _save(self, key: ProgramKey, checkpoint: Checkpoint) -> None:
        work = partial(files.save, self._folder, key, checkpoint)
        await asyncio.get_running_loop().run_in_executor(self._disk, work)
