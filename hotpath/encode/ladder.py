"""A ladder: stands between a programme and its bus and adds renditions, encoded in one child.

Invariant: the source's items pass at once, in order and unchanged, whatever the ladder does; only
`ProgramEnd` is held, until every rung has got as far as the source, at most `END_S`. Rungs that are
taller than the source are left out for as long as they are; those that the machine cannot encode
end in words. What goes wrong here ends the ladder and nothing else.

Upstream: `Program`, which publishes to `publish`. Downstream: the programme's bus. Boundaries are
decided by `ladder_marks`, the child is `ladder_child`'s. Lives on the event loop.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import structlog

from hotpath.encode.job import EncodeSettings
from hotpath.encode.ladder_child import COMMAND, LadderChild
from hotpath.encode.ladder_job import LADDER_SETTINGS, LadderJob
from hotpath.encode.ladder_marks import LadderMarks, Patience
from hotpath.encode.ladder_records import (
    Admitted,
    Described,
    Encoded,
    Fed,
    LadderMessage,
    LeftOut,
)
from hotpath.encode.life import BACKOFF_S
from hotpath.encode.shares import Share, SharedCores
from hotpath.media.unit import (
    VIDEO,
    Format,
    FormatChange,
    Item,
    PartCut,
    ProgramEnd,
    Sample,
    SegmentCut,
)
from infra.renditions import LadderRung

log = structlog.get_logger(__name__)

END_S = 1.0
Publish = Callable[[Iterable[Item]], None]


class Ladder:
    """The renditions of one incarnation of a programme; see the module for the invariant."""

    def __init__(
        self,
        rungs: Sequence[LadderRung],
        publish: Publish,
        *,
        publish_rungs: Publish,
        cores: SharedCores,
        on_warning: Callable[[str], None],
        settings: EncodeSettings = LADDER_SETTINGS,
        command: Sequence[str] = COMMAND,
        patience: Patience | None = None,
    ) -> None:
        """`cores`: of the machine, which each child asks for its share of."""
        self.encoded: Counter[str] = Counter()
        """Pictures published, by rung."""
        self.delay_ns = 0
        """From receiving a picture of the source to publishing that of a rung; a sum."""
        self.trimmed: Counter[str] = Counter()
        """Rungs that the machine could not encode."""
        self._wanted = tuple(sorted(rungs, key=lambda rung: -rung.height))
        self._publish = publish
        self._publish_rungs = publish_rungs
        self._cores = cores
        self._on_warning = on_warning
        self._settings = settings
        self._command = command
        self._marks = LadderMarks([rung.name for rung in self._wanted], patience)
        self._child: LadderChild | None = None
        self._children: set[LadderChild] = set()
        """Those that have begun; those that were retired and have not ended, too."""
        self._share: Share | None = None
        """The present child's, once it has one."""
        self._asking: dict[LadderChild, asyncio.Task[None] | None] = {}
        """Children that have not begun: they wait for their share, or for `run`."""
        self._tasks: asyncio.TaskGroup | None = None
        self._over = asyncio.Event()
        self._end: ProgramEnd | None = None
        self._timer: tuple[int, asyncio.TimerHandle] | None = None
        self._earlier: Counter[str] = Counter()
        """Counts of children that are gone."""
        self._restarts = 0

    # -- figures -----------------------------------------------------------------------------

    @property
    def taken(self) -> float:
        """Cores that it is predicted to take; while its child measures, all that it was given."""
        return 0.0 if self._share is None else self._share.taken

    @property
    def running(self) -> tuple[str, ...]:
        """Rungs that are encoded now."""
        child = self._child
        return () if child is None else child.job.names

    @property
    def counts(self) -> Counter[str]:
        """What children left out or took, and encoded pictures that were of no use, by reason."""
        present = self._child.counts if self._child is not None else Counter[str]()
        return self._earlier + present + self._marks.counts

    @property
    def restarts(self) -> int:
        return self._restarts + (self._child.restarts if self._child is not None else 0)

    @property
    def pid(self) -> int | None:
        """Of the present child."""
        return self._child.pid if self._child is not None else None

    @property
    def waiting(self) -> int:
        """Units that the child has not been given yet."""
        return self._child.waiting if self._child is not None else 0

    # -- the programme -----------------------------------------------------------------------

    def publish(self, items: Iterable[Item]) -> None:
        """What the programme publishes; never waits."""
        batch = list(items)
        if self._over.is_set():
            self._publish(batch)
            return
        end = batch[-1] if batch and isinstance(batch[-1], ProgramEnd) else None
        self._publish(batch[:-1] if end is not None else batch)
        try:
            for item in batch:
                self._take(item)
            self._arm()
        except Exception:
            # Whatever is wrong with a ladder, its source stays on the air.
            log.exception("a ladder brought out a bug; it ends")
            self._marks, self._end = LadderMarks([]), end
            self._conclude()

    async def run(self) -> None:
        """Owns the children. Until the programme has ended, or cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for child in self._asking:
                    self._start(child, tasks)
                await self._over.wait()
                for child in [*self._asking, *self._children]:
                    self._stop(child)
        finally:
            self._tasks = None
            self._conclude()

    def _take(self, item: Item) -> None:
        now = time.monotonic_ns()
        match item:
            case FormatChange(format=format) if format.track == VIDEO:
                self._marks.describe_source(format, now)
                self._begin(format)
            case Sample(unit=unit) if unit.track == VIDEO:
                cue = self._marks.source_unit(item)
                if self._child is not None:
                    self._child.send(Fed(unit, cue))
            case PartCut() | SegmentCut():
                self._add(self._marks.source_cut(item, now))
            case ProgramEnd():
                self._finish(item)

    def _begin(self, source: Format) -> None:
        """Another source, another child: the one before sends what it still has."""
        self._retire_child(drain=True)
        rungs = tuple(
            rung
            for rung in self._wanted
            if rung.name not in self.trimmed and (not source.height or rung.height <= source.height)
        )
        now = time.monotonic_ns()
        self._add(self._marks.expect([rung.name for rung in rungs], now))
        if not rungs:
            return
        job = LadderJob(source, rungs, 0.0, self._settings)
        child = LadderChild(
            job,
            on_message=lambda message: self._hear(child, message),
            on_failed=lambda: self._failed(child),
            command=self._command,
        )
        self._child = child
        self._asking[child] = None
        if self._tasks is not None:
            self._start(child, self._tasks)

    def _start(self, child: LadderChild, tasks: asyncio.TaskGroup) -> None:
        self._asking[child] = tasks.create_task(self._keep(child), name="ladder child")

    def _stop(self, child: LadderChild) -> None:
        child.close()
        if (asking := self._asking.pop(child, None)) is not None:
            asking.cancel()

    async def _keep(self, child: LadderChild) -> None:
        share = self._share = await self._cores.ask()
        del self._asking[child]
        self._children.add(child)
        child.give(share.given)
        try:
            await child.run()
        except Exception:
            log.exception("a ladder's child brought out a bug")
            self._failed(child)
        finally:
            share.close()
            self._children.discard(child)
            if self._end is not None and self._child is child:
                self._conclude()

    def _retire_child(self, *, drain: bool) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if drain and child not in self._asking:
            child.drain()
        else:
            self._stop(child)
        self._earlier += child.counts
        self._restarts += child.restarts
        share, self._share = self._share, None
        if share is not None:
            share.close()

    def _finish(self, end: ProgramEnd) -> None:
        self._end = end
        self._add(self._marks.source_ended(time.monotonic_ns()))
        if self._child is None or self._marks.settled:
            self._conclude()
            return
        self._child.drain()
        asyncio.get_running_loop().call_later(END_S, self._conclude)

    def _conclude(self) -> None:
        """Nothing more comes of the ladder: publish what was held."""
        if self._over.is_set():
            return
        self._over.set()
        if self._timer is not None:
            self._timer[1].cancel()
        if self._end is not None:
            self._publish_rungs([*self._marks.finish(time.monotonic_ns()), self._end])

    # -- the child ---------------------------------------------------------------------------

    def _hear(self, child: LadderChild, message: LadderMessage) -> None:
        if self._over.is_set():
            return
        now, wall_ns = time.monotonic_ns(), time.time_ns()
        match message:
            case Encoded(rung, unit):
                items = self._marks.receive(rung, unit, now, wall_ns)
                self._count(items, wall_ns)
                self._add(items)
            case LeftOut(pts):
                self._add(self._marks.left_out(pts, now))
            case Described(rung, format):
                self._marks.describe(rung, format)
            case Admitted():
                self._admit(child, message)
        self._arm()
        if self._end is not None and self._marks.settled:
            self._conclude()

    def _count(self, items: Sequence[Item], wall_ns: int) -> None:
        for item in items:
            if isinstance(item, Sample):
                self.encoded[item.unit.track] += 1
                self.delay_ns += max(wall_ns - item.unit.ingest_ns, 0)

    def _admit(self, child: LadderChild, admitted: Admitted) -> None:
        if self._child is not child:
            return
        if self._share is not None:
            self._share.settle(admitted.cores)
        for name in child.job.names:
            if name not in admitted.rungs:
                self.trimmed[name] += 1
                self._add(self._marks.drop(name, time.monotonic_ns()))
        if admitted.words:
            log.warning("a ladder is trimmed", rungs=admitted.rungs, why=admitted.words)
            self._on_warning(admitted.words)
        if admitted.rungs:
            child.narrow(admitted.rungs)
        else:
            self._retire_child(drain=False)

    def _failed(self, child: LadderChild) -> None:
        """Its children crashed again and again."""
        if self._child is not child:
            return
        self._retire_child(drain=False)
        self._add(self._marks.expect((), time.monotonic_ns()))
        self._on_warning(
            f"The renditions of this stream could not be encoded: the encoder stopped "
            f"{len(BACKOFF_S) + 1} times. Viewers get the source only."
        )

    # -- time --------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Be called when the marks have waited for long enough."""
        due = None if self._over.is_set() else self._marks.next_deadline()
        if due is None or (self._timer is not None and self._timer[0] <= due):
            return
        if self._timer is not None:
            self._timer[1].cancel()
        wait_s = max((due - time.monotonic_ns()) / 1e9, 0.0)
        self._timer = due, asyncio.get_running_loop().call_later(wait_s, self._poll)

    def _poll(self) -> None:
        self._timer = None
        self._add(self._marks.poll(time.monotonic_ns()))
        self._arm()

    def _add(self, items: Sequence[Item]) -> None:
        if items and not self._over.is_set():
            self._publish_rungs(items)
