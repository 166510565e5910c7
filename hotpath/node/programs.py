"""The programmes of this node: publishers are led to them, incarnations opened, packagers started.

Invariant: at most one programme per key, one stream and packager per incarnation; what happens to
one programme, a bug included, touches no other. A programme that is over stays over.

Upstream: `hotpath.node.sink` (publishers) and the desired state. Downstream: `Program` →
`ProgramStream` → `Packager` → `HlsOrigin` and the spool. Everything here runs on the event loop;
disk work is handed to threads.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from hotpath.hls.packager import Packager
from hotpath.node import admission
from hotpath.node.incarnations import Incarnation
from hotpath.node.ingests import Ingests
from hotpath.node.journal import Journal
from hotpath.node.launcher import Launcher
from hotpath.node.notes import Note, note_of, note_of_presence
from hotpath.node.onair import OnAir, options_of, recorded_event
from hotpath.program.checkpoint import Checkpoint
from hotpath.program.states import DropPublisher, Ended, NumbersUsed, OpenWanted, ProgramState
from hotpath.program.switcher import Switcher
from hotpath.program.switches import KeyframeWanted, SwitcherEvent
from infra.auth.access import NOBODY
from infra.events.desired import DesiredEvent
from infra.events.desired_state import DesiredSnapshot
from infra.events.facts import FactType
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)

REST_NS = 1_000_000_000
"""A programme that brought out a bug is not polled again for so long."""


class Programs:
    """All programmes of the node; see the module for the invariant."""

    def __init__(
        self,
        *,
        launcher: Launcher,
        ingests: Ingests,
        journal: Journal,
        snapshot: DesiredSnapshot,
        checkpoints: Mapping[ProgramKey, Checkpoint],
        elsewhere: Callable[[ProgramKey], Checkpoint | None] = lambda _key: None,
    ) -> None:
        """`elsewhere`: from where this node goes on with a programme that has left another one."""
        self.ready = asyncio.Event()
        """What an earlier life left on the air is resumed; publishers may come."""
        self.draining = False
        """No programme begins here any more."""
        self.publishers_move = False
        """Publishers belong to other nodes now."""
        self._elsewhere = elsewhere
        self._launcher = launcher
        self._journal = journal
        self._snapshot = snapshot
        self._left_open = {key: cp for key, cp in checkpoints.items() if cp.open}
        self._over = {key for key, cp in checkpoints.items() if not cp.open}
        self._ingests = ingests
        self._on_air: dict[ProgramKey, OnAir] = {}
        self._left_out: Counter[str] = Counter()
        self._switches: Counter[str] = Counter()
        self._tasks: asyncio.TaskGroup | None = None
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._sleeping_until: int | None = None
        self._stopping = False

    # -- life --------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Tell ingests who may publish, before they serve."""
        self._refresh()

    async def run(self) -> None:
        """Resume what was on the air, then serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for key, checkpoint in self._left_open.items():
                await self._resume(key, checkpoint)
            self.apply(self._snapshot)
            self.ready.set()
            await self._tick()

    async def stop(self) -> None:
        """Close every programme without ending it, and wait until its media is handed on."""
        self._stopping = True
        for entry in list(self._on_air.values()):
            if entry.program.state is ProgramState.LIVE:
                self._journal.program(entry.key, FactType.PUBLISHER_LOST, reason="node-stopping")
            entry.switcher.stop(time.monotonic_ns(), time.time_ns())
            self._tell_presence(entry)
        while any(entry.incarnation or entry.opening for entry in self._on_air.values()):
            self._changed.clear()
            await self._changed.wait()

    async def _tick(self) -> None:
        """Poll programmes when their deadlines are due."""
        while True:
            now, wall_ns = time.monotonic_ns(), time.time_ns()
            for entry in list(self._on_air.values()):
                due = entry.due
                if due is not None and due <= now:
                    self._poll(entry, now, wall_ns)
            deadlines = [entry.due for entry in self._on_air.values()]
            self._sleeping_until = min((due for due in deadlines if due is not None), default=None)
            self._wake.clear()
            timeout = None
            if self._sleeping_until is not None:
                timeout = max(0.0, (self._sleeping_until - time.monotonic_ns()) / 1e9)
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _poll(self, entry: OnAir, now: int, wall_ns: int) -> None:
        try:
            entry.switcher.poll(now, wall_ns)
            self._tell_presence(entry)
        except Exception:
            log.exception("a programme brought out a bug; it goes on", program=str(entry.key))
            entry.rests_until = now + REST_NS

    def touched(self, entry: OnAir) -> None:
        """Something was told to the programme: it may be due earlier, or done with."""
        self._tell_presence(entry)
        if not entry.switcher.roles and entry.program.state is ProgramState.WAITING:
            self._remove_unused(entry)
        due = entry.due
        if due is not None and (self._sleeping_until is None or due < self._sleeping_until):
            self._wake.set()

    # -- desired state -----------------------------------------------------------------------

    def apply(self, snapshot: DesiredSnapshot) -> None:
        """Make the node be what control wants."""
        self._snapshot = snapshot
        for entry in list(self._on_air.values()):
            event = self._event(entry.key)
            if event is not None and event.open:
                before, entry.event = entry.event.markers, event
                self._hold_or_release(entry)
                if event.markers != before:
                    self._launcher.set_markers(entry)
                window = event.reconnect_window_s
                options = replace(entry.program.options, reconnect_window_s=window)
                entry.program.options = options
            elif snapshot.epoch:
                entry.switcher.close("ended by request", time.monotonic_ns(), time.time_ns())
                self.touched(entry)
        for key in list(self._over):
            event = self._event(key)
            if snapshot.epoch and (event is None or not event.open):
                self._over.discard(key)
                self._spawn(self._launcher.incarnations.forget(key), key)
        self._refresh()

    def _hold_or_release(self, entry: OnAir) -> None:
        """Before the start of its event a programme waits; one that has begun goes on."""
        early, switcher = entry.event.access == NOBODY, entry.switcher
        if early == switcher.held or (early and entry.begun):
            return
        if early:
            switcher.hold(time.time_ns())
        else:
            switcher.release(time.monotonic_ns(), time.time_ns())
        self.touched(entry)

    def _refresh(self) -> None:
        """Tell ingest who may publish, and viewers' servers who may watch."""
        snapshot = self._snapshot
        keys = {p.id: admission.keys_of(p) for p in snapshot.projects.values()}
        access = {event.id: event.access for event in snapshot.events.values()}
        self._launcher.set_access(
            keys, access, admission.revoked(snapshot), admission.tier_changes(snapshot)
        )
        self._ingests.set_table(admission.publishers(snapshot, self._is_over))

    def _is_over(self, key: ProgramKey) -> bool:
        entry = self._on_air.get(key)
        return key in self._over or (entry is not None and entry.program.over)

    def _event(self, key: ProgramKey) -> DesiredEvent | None:
        event = self._snapshot.events.get(key.event)
        return event if event is not None and event.project == key.project else None

    # -- programmes --------------------------------------------------------------------------

    def for_publisher(self, key: ProgramKey) -> OnAir | None:
        """The programme a publisher belongs to; None: there is nothing to publish to."""
        if self.publishers_move:
            return None
        entry = self._on_air.get(key)
        closed = self._stopping or self.draining
        if entry is None and key not in self._over and not closed:
            event = self._event(key)
            if event is not None and event.open:
                entry = self._add(key, event, event.target_duration_s)
                entry.switcher.held = event.access == NOBODY
        return entry

    def disconnect(self, publisher_id: int, reason: str) -> None:
        self._ingests.disconnect(publisher_id, reason)

    def send_publishers_away(self, reason: str) -> None:
        """Encoders come back by themselves: to a node that takes them."""
        for entry in self._on_air.values():
            for publisher in entry.publishers:
                self.disconnect(publisher, reason)

    def give_up(self, key: ProgramKey) -> None:
        """Another node goes on with a programme that has no publisher here: it is not over."""
        entry = self._on_air.get(key)
        if entry is None or entry.program.state is not ProgramState.RECONNECTING:
            return
        log.info("another node goes on with a programme", program=str(key))
        entry.given_up = True
        entry.switcher.stop(time.monotonic_ns(), time.time_ns())
        self.touched(entry)

    def _add(self, key: ProgramKey, event: DesiredEvent, target_duration_s: int) -> OnAir:
        options = options_of(event, self._launcher.part_target_ms, target_duration_s)
        switcher = Switcher(options, lambda happened: self._heard(key, happened))
        entry = self._on_air[key] = OnAir(key, event, switcher)
        return entry

    async def _resume(self, key: ProgramKey, earlier: Checkpoint) -> None:
        """The programme was on the air when the node, or its packager, broke off."""
        event = self._event(key) or recorded_event(key)
        entry = self._add(key, event, earlier.target_duration_s)
        entry.opening = True
        incarnation = await self._launcher.open(entry, earlier.epoch_ns, earlier)
        entry.opening = False
        if incarnation is None:
            self._remove(entry)
            return
        warn = partial(self._heard, key)
        publish, packager = self._launcher.go_on_air(entry, incarnation, warn)
        self._spawn(self._package(entry, incarnation, packager), key)
        entry.switcher.resume(publish, incarnation.numbers, time.monotonic_ns())
        self._journal.program(key, FactType.PUBLISHER_LOST, reason="media-restarted")
        self.touched(entry)

    async def _open(self, entry: OnAir, epoch_ns: int) -> None:
        """Media is waiting for its first incarnation."""
        incarnation = await self._launcher.open(entry, epoch_ns, self._elsewhere(entry.key))
        entry.opening = False
        if incarnation is None:
            self._remove(entry)
            return
        warn = partial(self._heard, entry.key)
        publish, packager = self._launcher.go_on_air(entry, incarnation, warn)
        self._spawn(self._package(entry, incarnation, packager), entry.key)
        entry.switcher.opened(publish, incarnation.numbers, time.monotonic_ns(), time.time_ns())
        self.touched(entry)

    async def _package(self, entry: OnAir, incarnation: Incarnation, packager: Packager) -> None:
        try:
            await packager.run()
        except Exception:
            # A bug that one source brings out must not take the other programmes off the air.
            log.exception("the packager failed", program=str(entry.key))
            await self._start_again(entry, incarnation)
            return
        await self._launcher.conclude(entry, incarnation)
        self._remove(entry)

    async def _start_again(self, entry: OnAir, incarnation: Incarnation) -> None:
        """Break the incarnation off and resume in the next one, as after a restart."""
        entry.switcher.stop(time.monotonic_ns(), time.time_ns())
        self._tell_presence(entry)
        self._launcher.abort(entry, incarnation)
        self._remove(entry)
        if not self._stopping:
            await self._resume(entry.key, incarnation.checkpoint)

    def _remove_unused(self, entry: OnAir) -> None:
        if not entry.begun:
            self._remove(entry)

    def _remove(self, entry: OnAir) -> None:
        self._left_out += entry.program.totals()
        self._switches += entry.switcher.switches
        if self._on_air.get(entry.key) is entry:
            del self._on_air[entry.key]
        if entry.program.state is ProgramState.ENDED:
            self._over.add(entry.key)
        self._changed.set()

    # -- what programmes say -----------------------------------------------------------------

    def _heard(self, key: ProgramKey, happened: SwitcherEvent) -> None:
        entry = self._on_air.get(key)
        if entry is None:
            return
        note = note_of(entry, happened)
        if note is not None:
            self._note(key, note)
        match happened:
            case OpenWanted(epoch_ns=epoch_ns):
                entry.opening = True
                self._spawn(self._open(entry, epoch_ns), key)
            case KeyframeWanted(publisher=publisher):
                if publisher in entry.publishers:
                    self._ingests.request_keyframe(entry.publishers[publisher])
            case DropPublisher(publisher=publisher, reason=reason):
                self.disconnect(publisher, reason)
            case NumbersUsed(msn=msn, discontinuity_seq=sequence):
                self._reserve(entry, msn, sequence)
            case Ended(reason=reason):
                if entry.incarnation is not None:
                    self._journal.program(key, FactType.PROGRAM_ENDED, reason=reason)
                else:
                    self._remove_unused(entry)
                self._refresh()

    def _note(self, key: ProgramKey, note: Note) -> None:
        fact_type, detail = note
        self._journal.program(key, fact_type, **detail)

    def _tell_presence(self, entry: OnAir) -> None:
        presence = entry.presence
        if presence != entry.told:
            entry.told = presence
            self._note(entry.key, note_of_presence(presence))

    def _reserve(self, entry: OnAir, msn: int, sequence: int) -> None:
        incarnation = entry.incarnation
        if incarnation is None:
            return
        incarnations = self._launcher.incarnations
        due = incarnations.extension(incarnation, msn, sequence)
        if due is not None:
            self._spawn(incarnations.extend(incarnation, due), entry.key)

    def _spawn(self, work: Coroutine[Any, Any, None], key: ProgramKey) -> None:
        if self._tasks is None:
            raise RuntimeError("programmes are not running")
        self._tasks.create_task(work, name=f"program {key}")

    # -- seen from outside -------------------------------------------------------------------

    def on_air(self) -> Collection[OnAir]:
        return self._on_air.values()

    def states(self) -> Counter[str]:
        """Programmes by state; those that are over are no longer counted."""
        return Counter(entry.program.state.value for entry in self._on_air.values())

    def left_out(self) -> Counter[str]:
        """Units left out or repaired since the start, by reason."""
        total = Counter(self._left_out)
        for entry in self._on_air.values():
            total.update(entry.program.totals())
        return total

    def switches(self) -> Counter[str]:
        """Changes to a standby since the start, by cause."""
        total = Counter(self._switches)
        for entry in self._on_air.values():
            total.update(entry.switcher.switches)
        return total

    def publishers(self) -> int:
        return sum(len(entry.switcher.roles) for entry in self._on_air.values())
