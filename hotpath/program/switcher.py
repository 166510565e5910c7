"""Which publisher feeds the programme: the active one, with another as standby beside it.

Invariant: nothing of a standby is published; every publisher is active, standby, or was dropped.
The programme loses its publisher only when no standby can go on. The first to come is active,
whatever its role, and stays so until it is lost or silent while a standby is ready: one that has
sent a keyframe and still sends. The one that comes back is standby then: nothing reverts by itself.

A switch begins with the standby's newest keyframe, so that viewers stay near the live edge; one so
old that it would set the programme ahead of the wall clock by more than `overlap_ns` is not used,
and the next one waited for.

While it is held nobody is active: whoever is connected stands by, however silent, until `release`
puts one of them on the air. Of what came before nothing is published.

Upstream: `hotpath.node.sink`. Downstream: one `Program`, which knows of the active publisher only,
and the node, which hears `SwitcherEvent`s. Pure: time is an argument, as it is for `Program`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from hotpath.media.unit import Format, Item, Sample, Unit
from hotpath.program.present import Present
from hotpath.program.service import Numbers, Program, ProgramOptions, Publish
from hotpath.program.states import DropPublisher, Ended, ProgramEvent
from hotpath.program.switches import (
    SILENT,
    KeyframeWanted,
    StandbyLost,
    Switched,
    SwitcherEvent,
    SwitcherOptions,
)
from infra.publishers import Role

TAKEN_OVER = "another publisher took over"
STALLED = "it sent nothing for too long"


class Switcher:
    """One programme with its publishers; see the module for the invariant."""

    def __init__(
        self,
        program: ProgramOptions,
        on_event: Callable[[SwitcherEvent], None],
        options: SwitcherOptions | None = None,
    ) -> None:
        self.program = Program(program, self._heard)
        self.options = options or SwitcherOptions()
        self.switches: Counter[str] = Counter()
        """By cause: `silent` or `lost`."""
        self._emit = on_event
        self._present: dict[int, Present] = {}
        self._active: Present | None = None
        self.held = False
        """Nothing is published yet: the event begins with `release`."""
        self._vacated: tuple[Role, str] | None = None
        """Who was active last, and why it no longer is; None: nobody was."""
        self._kept_free: tuple[Role, int] | None = None
        """The air is left to the next publisher of this role, until then (monotonic ns)."""
        self._silent_since: int | None = None
        """Monotonic ns at which the active publisher was found silent; None: it sends."""
        self._reached_ns: int | None = None
        """Unix ns on the programme's clock that it has come to."""

    @property
    def active(self) -> int | None:
        """The publisher that feeds the programme."""
        return self._active.publisher if self._active else None

    @property
    def roles(self) -> dict[int, Role]:
        """Everybody who is connected."""
        return {each.publisher: each.role for each in self._present.values()}

    # -- the node ----------------------------------------------------------------------------

    def opened(self, publish: Publish, numbers: Numbers, now: int, wall_ns: int) -> None:
        """As `Program.opened`."""
        self.program.opened(self._followed(publish), numbers, now, wall_ns)

    def resume(self, publish: Publish, numbers: Numbers, now: int) -> None:
        """As `Program.resume`."""
        self.program.resume(self._followed(publish), numbers, now)

    def close(self, reason: str, now: int, wall_ns: int) -> None:
        """The event is over."""
        self.program.close(reason, now, wall_ns)

    def hold(self, wall_ns: int) -> None:
        """Publish nothing before `release`; not to be called once storage was asked for."""
        if self._active is not None:
            self.program.publisher_replaced(self._active.publisher, wall_ns)
        self._active = self._vacated = self._kept_free = self._silent_since = None
        for each in self._present.values():
            each.gop.clear()
        self.held = True

    def release(self, now: int, wall_ns: int) -> None:
        """The start has come: one that sends goes on the air, the primary rather than the backup.

        If none sends, it is as if they had connected now.
        """
        if not self.held:
            return
        self.held = False
        everybody = list(self._present.values())
        sending = [each for each in everybody if now - each.last_units < self.options.silent_ns]
        for each in everybody:
            each.last_units = now
        first = min(
            sending or everybody, key=lambda each: each.role is not Role.PRIMARY, default=None
        )
        if first is not None:
            self._switch(first, now, wall_ns)

    def stop(self, now: int, wall_ns: int) -> None:
        """As `Program.stop`, for every publisher."""
        self.program.stop(now, wall_ns)
        self._drop_all("the media node stops")

    # -- publishers --------------------------------------------------------------------------

    def publisher_connected(self, publisher: int, role: Role, now: int, wall_ns: int) -> None:
        """A publisher was let in; it replaces one of its role that is still there."""
        if self.program.over:
            self.program.publisher_connected(publisher, now, wall_ns)
            return
        older = next((each for each in self._present.values() if each.role is role), None)
        came = self._present[publisher] = Present(publisher, role, last_units=now)
        kept_free = self._kept_free is not None and self._kept_free[0] is not role
        free = self._active is None and not kept_free and not self.held
        if free or (older is not None and older is self._active):
            self._put_on(came)
            self.program.publisher_connected(publisher, now, wall_ns)  # drops the older one
        if older is not None and older.publisher in self._present:
            self._drop(older, TAKEN_OVER)

    def publisher_formats(
        self, publisher: int, formats: Sequence[Format], now: int, wall_ns: int
    ) -> None:
        """All tracks that the publisher is known to send."""
        told = self._present.get(publisher)
        if told is None:
            return
        told.describe(formats)
        if told is self._active:
            self.program.publisher_formats(publisher, formats, now, wall_ns)

    def publisher_units(
        self, publisher: int, units: Sequence[Unit], now: int, wall_ns: int
    ) -> None:
        """Units of a publisher, in its own clock."""
        sent = self._present.get(publisher)
        if sent is None or not units:
            return
        sent.last_units = now
        if sent is self._active:
            self._silent_since = None
            self.program.publisher_units(publisher, units, now, wall_ns)
        elif not self.held:
            sent.keep(units, now)
            self._step_in(now, wall_ns)

    def publisher_lost(self, publisher: int, reason: str, now: int, wall_ns: int) -> None:
        """The publisher is gone."""
        lost = self._present.pop(publisher, None)
        if lost is None:
            return
        if lost is not self._active:
            self._emit(StandbyLost(publisher, lost.role, reason))
            return
        standby = self._standby(now)
        goes_on = standby is not None and self._is_ready(standby)
        self._vacate(reason)
        if goes_on:
            self.program.publisher_replaced(publisher, wall_ns)
        else:
            self.program.publisher_lost(publisher, reason, now, wall_ns)
        self._step_in(now, wall_ns)

    def publisher_replaced(self, publisher: int, now: int, wall_ns: int) -> None:
        """The publisher is gone because another has its place: the programme stays as it is."""
        gone = self._present.pop(publisher, None)
        if gone is not None and gone is self._active:
            self._vacate("taken over")
            self._kept_free = gone.role, now + self.options.silent_ns
            self.program.publisher_replaced(publisher, wall_ns)

    # -- time --------------------------------------------------------------------------------

    def next_deadline(self) -> int | None:
        """Monotonic ns at which `poll` is due; None: nothing is waited for."""
        if self.held:
            return None
        programs = self.program.next_deadline()
        due = [] if programs is None else [programs]
        waiting = [each for each in self._present.values() if each is not self._active]
        for each in waiting:
            due.append(each.last_units + self.program.options.stalled_ns)
            if self._active is not None and self._silent_since is None:
                due.append(self._active.last_units + self.options.silent_ns)
            if self._kept_free is not None:
                due.append(self._kept_free[1])
        return min(due, default=None)

    def poll(self, now: int, wall_ns: int) -> None:
        """Do what has become due."""
        if self.program.over or self.held:
            return
        self._poll_standby(now)
        active = self._active
        silent = active is not None and now - active.last_units >= self.options.silent_ns
        if silent and self._silent_since is None:
            self._silent_since = now
            standby = self._standby(now)
            if standby is not None and not self._is_ready(standby):
                self._emit(KeyframeWanted(standby.publisher))
        self._step_in(now, wall_ns)
        self.program.poll(now, wall_ns)

    def _poll_standby(self, now: int) -> None:
        stalled_ns = self.program.options.stalled_ns
        for each in list(self._present.values()):
            if each is not self._active and now - each.last_units >= stalled_ns:
                self._drop(each, STALLED)
                self._emit(StandbyLost(each.publisher, each.role, "stalled"))

    # -- inside ------------------------------------------------------------------------------

    def _standby(self, now: int) -> Present | None:
        """The other publisher, if it sends."""
        for each in self._present.values():
            if each is not self._active and now - each.last_units < self.options.silent_ns:
                return each
        return None

    def _is_ready(self, standby: Present) -> bool:
        """What is kept of it can be published at once."""
        key = standby.gop.key
        if key is None:
            return False
        if self._silent_since is not None and standby.gop.key_at >= self._silent_since:
            return True  # nothing newer is to be had
        reached_ns = self._reached_ns or key.ingest_ns
        return reached_ns - key.ingest_ns <= self.options.overlap_ns

    def _step_in(self, now: int, wall_ns: int) -> None:
        """Switch, if there is a reason to and somebody to switch to."""
        if self._kept_free is not None:
            if now < self._kept_free[1]:
                return
            self._kept_free = None
        standby = self._standby(now)
        if standby is None:
            return
        if self._active is None:
            self._switch(standby, now, wall_ns)
        elif self._silent_since is not None and self._is_ready(standby):
            self.program.publisher_replaced(self._active.publisher, wall_ns)
            self._vacate(SILENT)
            self._switch(standby, now, wall_ns)

    def _switch(self, standby: Present, now: int, wall_ns: int) -> None:
        """The standby goes on the air, which nobody has."""
        if not self._is_ready(standby):
            # The programme waits for its picture as it does for that of any newcomer.
            standby.gop.clear()
            self._emit(KeyframeWanted(standby.publisher))
        kept = standby.gop.take()
        self._put_on(standby)
        if self._vacated is not None:
            instead_of, reason = self._vacated
            self.switches[SILENT if reason == SILENT else "lost"] += 1
            self._emit(Switched(standby.publisher, standby.role, instead_of, reason))
        publisher, program = standby.publisher, self.program
        program.publisher_connected(publisher, now, wall_ns)
        if standby.formats:
            program.publisher_formats(publisher, standby.formats, now, wall_ns)
        for came_at, batch in groupby(kept, itemgetter(0)):
            program.publisher_units(publisher, [unit for _, unit in batch], came_at, wall_ns)

    def _put_on(self, publisher: Present) -> None:
        self._active, self._kept_free, self._silent_since = publisher, None, None
        publisher.gop.clear()

    def _vacate(self, reason: str) -> None:
        if self._active is not None:
            self._vacated = self._active.role, reason
        self._active = None

    def _drop(self, publisher: Present, reason: str) -> None:
        del self._present[publisher.publisher]
        self._emit(DropPublisher(publisher.publisher, reason))

    def _drop_all(self, reason: str) -> None:
        for each in list(self._present.values()):
            self._drop(each, reason)

    def _heard(self, event: ProgramEvent) -> None:
        """What the programme says; it knows of one publisher only."""
        if isinstance(event, DropPublisher):
            dropped = self._present.pop(event.publisher, None)
            if dropped is not None and dropped is self._active:
                self._vacate(event.reason)
        if isinstance(event, Ended):
            # Before the node hears of it: it forgets a programme that never began.
            self._drop_all(event.reason)
        self._emit(event)

    def _followed(self, publish: Publish) -> Publish:
        """`publish`, and how far the programme has come."""

        def following(items: Iterable[Item]) -> None:
            batch = list(items)
            publish(batch)
            for item in batch:
                if isinstance(item, Sample):
                    self._reached_ns = max(self._reached_ns or 0, item.mark.pdt_ns)

        return following
