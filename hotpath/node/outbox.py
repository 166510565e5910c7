"""The facts outbox: what happened here, on disk first, then to the bus when it answers.

Invariant: facts leave in the order they were put in; one that reached the disk is sent, by this
process or the next one, until the bus has it. The outbox is bounded: when the bus stays away too
long, warnings and refusals go first, then the oldest facts, and it is counted.

File: `facts.jsonl`, one `MediaFact` a line. Upstream: the node. Downstream: control, by way of
`infra.events.facts_bus`. All disk work runs on one thread, in order.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

import structlog
from pydantic import ValidationError

from hotpath.program.checkpoint import replace_file
from infra.errors import BusUnavailable
from infra.events.bus import Backoff
from infra.events.facts import FactType, MediaFact

log = structlog.get_logger(__name__)

MAX_FACTS = 10_000
BATCH = 100
COMPACT_AFTER = 500
_FIRST_TO_GO = frozenset({FactType.INGEST_WARNING, FactType.PUBLISHER_REFUSED})


class FactSender(Protocol):
    async def send(self, facts: Sequence[MediaFact]) -> None:
        """Append in order; raises `BusUnavailable`."""


class FactsFile:
    """The file below the outbox; every method waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[MediaFact]:
        """Facts that were not sent; a last line that was cut off by a crash is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        facts: list[MediaFact] = []
        for line in lines:
            try:
                facts.append(MediaFact.model_validate_json(line))
            except ValidationError:
                log.warning("a line of the facts outbox cannot be read", path=str(self._path))
        if len(facts) < len(lines):
            try:
                self.rewrite(facts)  # else the next fact would be appended to the broken line
            except OSError as error:
                log.warning("the facts outbox cannot be repaired", problem=str(error))
        return facts

    def append(self, facts: Sequence[MediaFact]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(b"".join(fact.model_dump_json().encode() + b"\n" for fact in facts))
            file.flush()
            os.fsync(file.fileno())

    def rewrite(self, facts: Sequence[MediaFact]) -> None:
        lines = b"".join(fact.model_dump_json().encode() + b"\n" for fact in facts)
        replace_file(self._path, lines)


class Outbox:
    """Takes facts on the event loop at any time; `run` carries them to disk and bus."""

    def __init__(
        self, file: FactsFile, sender: FactSender, disk: Executor, *, max_facts: int = MAX_FACTS
    ) -> None:
        self._file = file
        self._sender = sender
        self._disk = disk
        self._max_facts = max_facts
        self._new: deque[MediaFact] = deque()
        """Not on disk yet."""
        self._pending: deque[MediaFact] = deque()
        """On disk (as far as it works), not sent."""
        self._sent = 0
        """Lines at the head of the file that the bus has."""
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self.dropped = 0
        self.problem: str | None = None
        """None while the bus takes facts; a readiness report."""

    def __len__(self) -> int:
        return len(self._new) + len(self._pending)

    def restore(self, facts: Sequence[MediaFact]) -> None:
        """Facts of the process before this one, from `FactsFile.load`."""
        self._pending.extend(facts)
        self._wake.set()

    def put(self, fact: MediaFact) -> None:
        """Never waits."""
        self._new.append(fact)
        self._empty.clear()
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; facts put in before a `settle` are on disk after it."""
        backoff = Backoff()
        while True:
            if not self._new and not self._pending:
                self._empty.set()
                await self._wake.wait()
            self._wake.clear()
            await self.settle()
            if not self._pending:
                continue
            batch = list(self._pending)[:BATCH]
            try:
                await self._sender.send(batch)
            except BusUnavailable as error:
                if self.problem is None:
                    log.warning("facts wait for the bus", waiting=len(self), problem=str(error))
                self.problem = str(error)
                await self._pause(backoff.pause())
                continue
            self.problem = None
            backoff.reset()
            self._forget(batch)
            await self._compact()

    async def drained(self) -> None:
        """Until everything was sent."""
        if len(self):
            self._empty.clear()
            await self._empty.wait()

    async def settle(self) -> None:
        """Bring new facts to the disk."""
        facts = list(self._new)
        if not facts:
            return
        self._new.clear()
        self._pending.extend(facts)
        over = len(self._pending) - self._max_facts
        if over > 0:
            self._shed(over)
            await self._on_disk(self._file.rewrite, list(self._pending))
            self._sent = 0
        else:
            await self._on_disk(self._file.append, facts)

    def _forget(self, batch: Sequence[MediaFact]) -> None:
        for _ in batch:
            self._pending.popleft()
        self._sent += len(batch)

    async def _compact(self) -> None:
        """Remove sent lines from the file: at once when nothing else is in it, else in bulk."""
        if not self._pending or self._sent >= COMPACT_AFTER:
            self._sent = 0
            await self._on_disk(self._file.rewrite, list(self._pending))

    def _shed(self, over: int) -> None:
        self.dropped += over
        log.error("facts were dropped: the bus stayed away too long", dropped=self.dropped)
        kept: deque[MediaFact] = deque()
        for fact in self._pending:
            if over and fact.type in _FIRST_TO_GO:
                over -= 1
            else:
                kept.append(fact)
        for _ in range(over):
            kept.popleft()
        self._pending = kept

    async def _on_disk(self, work: "DiskWork", facts: Sequence[MediaFact]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._disk, work, facts)
        except OSError as error:
            # The bus may still take them; only a crash meanwhile would lose them.
            log.warning("the facts outbox cannot be written", problem=str(error))

    async def _pause(self, seconds: float) -> None:
        """Wait for the bus, but bring facts that come meanwhile to the disk."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()
            await self.settle()


class DiskWork(Protocol):
    def __call__(self, facts: Sequence[MediaFact], /) -> None: ...
