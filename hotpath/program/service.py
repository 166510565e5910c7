"""One programme: publishers come and go, one continuous stream of marked items comes out.

Invariant: whatever publishers do, every item goes out in order and once; after `ProgramEnd`
nothing does. The programme never waits and never reads a clock: time is an argument (`now`:
monotonic ns for deadlines, `wall_ns`: Unix ns for what is published), `next_deadline` says when
`poll` is due.

Upstream: `hotpath.node` forwards what ingest says. Downstream: a `ProgramStream`, and the node,
which hears `ProgramEvent`s. Boundaries are decided by `marks`, times by `timeline`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hotpath.media.unit import (
    AUDIO,
    COMPANION,
    FURTHER_AUDIO,
    VIDEO,
    Format,
    Item,
    Sample,
    Unit,
)
from hotpath.program.companion import Companion, apart
from hotpath.program.complaints import Complaints
from hotpath.program.marks import MarkWriter, same_media
from hotpath.program.session import Session
from hotpath.program.states import (
    DropPublisher,
    Ended,
    NumbersUsed,
    OpenWanted,
    ProgramEvent,
    ProgramState,
    PublisherLost,
    Trigger,
    WentLive,
    advance,
)
from hotpath.program.timeline import Stretch, Timeline, lead_of, programme_format

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """Fixed for a programme's life, but for the reconnect window."""

    part_target_ms: int = 215
    target_duration_s: int = 2
    reconnect_window_s: int = 60
    audio_wait_ns: int = 1 * SECOND
    """How long a first keyframe waits for audio to be described."""
    video_wait_ns: int = 2 * SECOND
    """How long audio waits for a first keyframe before the programme begins without video."""
    quiet_ns: int = 2 * SECOND
    """A publisher silent for so long gets its open segment closed."""
    stalled_ns: int = 10 * SECOND
    """A publisher silent for so long is disconnected."""
    report_ns: int = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where an incarnation starts counting; durable before it publishes anything."""

    msn: int
    discontinuity_seq: int
    epoch_ns: int


Publish = Callable[[Iterable[Item]], None]


class Program:
    """One feed of one event on this node; see the module for the invariant."""

    def __init__(self, options: ProgramOptions, on_event: Callable[[ProgramEvent], None]) -> None:
        self.state = ProgramState.WAITING
        self.options = options
        self.counts: Counter[str] = Counter()
        """Units left out or repaired, by reason, in the programme's whole life here."""
        self._emit = on_event
        self._publish: Publish | None = None
        self._writer: MarkWriter | None = None
        self._companion = Companion(0)
        self._timeline = Timeline()
        self._session: Session | None = None
        self._open_wanted = False
        self._window_ends: int | None = None
        self._complaints = Complaints()
        self._report_at: int | None = None
        self._numbers_told = (-1, -1)

    @property
    def publisher(self) -> int | None:
        """The publisher whose units go on the air."""
        return self._session.publisher if self._session else None

    # -- the node ----------------------------------------------------------------------------

    def opened(self, publish: Publish, numbers: Numbers, now: int, wall_ns: int) -> None:
        """An incarnation is durable: from now on the programme may publish."""
        self._publish = publish
        self._timeline = Timeline(numbers.epoch_ns)
        self._companion = Companion(numbers.epoch_ns)
        self._writer = MarkWriter(
            epoch_ns=numbers.epoch_ns,
            msn=numbers.msn,
            discontinuity_seq=numbers.discontinuity_seq,
            part_target_ms=self.options.part_target_ms,
            target_duration_s=self.options.target_duration_s,
        )
        self._try_begin(now, wall_ns)

    def resume(self, publish: Publish, numbers: Numbers, now: int) -> None:
        """After a restart: the programme was on the air, its publisher has the window to return."""
        self.opened(publish, numbers, now, 0)
        self.state = ProgramState.RECONNECTING
        self._window_ends = now + self.options.reconnect_window_s * SECOND

    def close(self, reason: str, now: int, wall_ns: int) -> None:
        """The event is over."""
        self._finish(Trigger.CLOSED, reason, wall_ns)

    def stop(self, now: int, wall_ns: int) -> None:
        """The node stops: everything published so far is closed, nothing is final."""
        self._finish(Trigger.STOPPED, "the media node stops", wall_ns)

    @property
    def over(self) -> bool:
        return self.state in (ProgramState.ENDED, ProgramState.STOPPED)

    # -- the publisher -----------------------------------------------------------------------

    def publisher_connected(self, publisher: int, now: int, wall_ns: int) -> None:
        """A publisher was let in; it replaces one that is still there."""
        if self.over:
            self._emit(DropPublisher(publisher, "the event is over"))
            return
        if self._session is not None:
            old = self._session.publisher
            self._leave(wall_ns)
            self._emit(DropPublisher(old, "another publisher took over"))
        self._session = Session(publisher, connected=now, last_units=now)
        self._report_at = now + self.options.report_ns

    def publisher_formats(
        self, publisher: int, formats: Sequence[Format], now: int, wall_ns: int
    ) -> None:
        """All tracks that the publisher is known to send."""
        session = self._session
        if session is None or session.publisher != publisher:
            return
        if not session.begun:
            session.describe(formats)
            self._try_begin(now, wall_ns)
            return
        coming, companion = apart(programme_format(format) for format in formats)
        self._change_companion(session, companion, wall_ns)
        if self._needs_new_beginning(session, coming):
            session.wanted = coming
            return
        before = {format.track for format in session.formats}
        session.wanted = None
        session.formats = coming
        for name in before - {format.track for format in coming}:
            self._timeline.remove(name)
            if self._writer is not None:
                self._writer.remove(name)
        for format in coming:
            if format.track not in before:
                self._timeline.add(format)
                if self._writer is not None:
                    self._send(self._writer.add(format), session, wall_ns)

    def publisher_units(
        self, publisher: int, units: Sequence[Unit], now: int, wall_ns: int
    ) -> None:
        """Units of a publisher, in its own clock."""
        session = self._session
        if session is None or session.publisher != publisher or not units:
            return
        session.last_units, session.stalled = now, False
        if session.begun:
            self._take(session, units, wall_ns)
            return
        self.counts["backlog-dropped"] += session.keep(units, now)
        self._try_begin(now, wall_ns)

    def publisher_lost(self, publisher: int, reason: str, now: int, wall_ns: int) -> None:
        """The publisher is gone."""
        if self._session is None or self._session.publisher != publisher:
            return
        was_live = self.state is ProgramState.LIVE
        self._leave(wall_ns)
        self.state = advance(self.state, Trigger.PUBLISHER_LOST)
        if was_live:
            self._window_ends = now + self.options.reconnect_window_s * SECOND
            self._emit(PublisherLost(publisher, reason))

    def publisher_replaced(self, publisher: int, wall_ns: int) -> None:
        """The publisher is gone because another has its place: the programme stays as it is."""
        if self._session is not None and self._session.publisher == publisher:
            self._leave(wall_ns)

    # -- time --------------------------------------------------------------------------------

    def next_deadline(self) -> int | None:
        """Monotonic ns at which `poll` is due; None: nothing is waited for."""
        session, options = self._session, self.options
        due: list[int] = []
        if session is None and self._window_ends is not None:
            due.append(self._window_ends)
        if session is not None:
            quiet = session.begun and not session.stalled
            due.append(session.last_units + (options.quiet_ns if quiet else options.stalled_ns))
            if not session.begun and (begins := self._begins_at(session)) is not None:
                due.append(begins)
            if self._report_at is not None:
                due.append(self._report_at)
        return min(due, default=None)

    def poll(self, now: int, wall_ns: int) -> None:
        """Do what has become due."""
        if self.over:
            return
        session = self._session
        if session is not None:
            self._poll_session(session, now, wall_ns)
        # A publisher that is back has until it stalls to send a keyframe.
        passed = self._window_ends is not None and now >= self._window_ends
        if passed and self._session is None:
            self._finish(Trigger.WINDOW_PASSED, "the reconnect window passed", wall_ns)

    def _poll_session(self, session: Session, now: int, wall_ns: int) -> None:
        silent = now - session.last_units
        if silent >= self.options.stalled_ns:
            self._emit(DropPublisher(session.publisher, "it sent nothing for too long"))
            self.publisher_lost(session.publisher, "stalled", now, wall_ns)
            return
        if silent >= self.options.quiet_ns and session.begun and not session.stalled:
            session.stalled = True
            if self._writer is not None:
                self._send(self._writer.close(wall_ns), session, wall_ns)
        if not session.begun:
            self._try_begin(now, wall_ns)
        if self._report_at is not None and now >= self._report_at:
            self._report_at = now + self.options.report_ns
            for warning in self._complaints.poll(self.totals(), now):
                self._emit(warning)

    # -- inside ------------------------------------------------------------------------------

    def totals(self) -> Counter[str]:
        """Units left out or repaired, by reason, so far."""
        writer = self._writer.counts if self._writer is not None else Counter[str]()
        return self.counts + self._timeline.counts + writer

    def _begins_at(self, session: Session) -> int | None:
        """When the publisher's units go on the air, with whatever is described by then."""
        if session.first_key is None:
            return None
        tracks = {format.track for format in session.formats}
        if VIDEO in tracks:
            return session.first_key_at + (0 if AUDIO in tracks else self.options.audio_wait_ns)
        return session.first_key_at + self.options.video_wait_ns

    def _try_begin(self, now: int, wall_ns: int) -> None:
        session = self._session
        if session is None or session.begun or session.first_key is None:
            return
        begins = self._begins_at(session)
        if begins is None or now < begins:
            return
        if self._publish is None:
            if not self._open_wanted:
                self._open_wanted = True
                self._emit(OpenWanted(session.first_key.ingest_ns))
            return
        session.begun = True
        self._timeline.begin(session.every, same_clock=False)
        self._take(session, session.take(), wall_ns)

    def _take(self, session: Session, units: Sequence[Unit], wall_ns: int) -> None:
        items: list[Item] = []
        for unit in units:
            if session.wanted is not None and not self._change_formats(session, unit):
                continue
            for step in self._timeline.receive(unit):
                items += self._mark(session, step, wall_ns)
        self._send(items, session, wall_ns)

    def _mark(self, session: Session, step: Unit | Stretch, wall_ns: int) -> list[Item]:
        if self._writer is None:
            return []
        if isinstance(step, Stretch):
            begun = self._writer.begin(session.formats, wall_ns)
            return begun + self._companion.announce(session.companion)
        if step.track == COMPANION:
            return self._companion.write(step, wall_ns)
        return self._writer.write(step, wall_ns)

    def _needs_new_beginning(self, session: Session, coming: Sequence[Format]) -> bool:
        """Whether these formats cost a discontinuity: all do that concern what viewers play now.

        Sound may join without one, and further sounds may leave.
        """
        wanted = {format.track: format for format in coming}
        for format in session.formats:
            new = wanted.pop(format.track, None)
            leaves = new is None and format.track in FURTHER_AUDIO and format.track != session.lead
            if not leaves and (new is None or not same_media(format, new)):
                return True
        return VIDEO in wanted or not all(
            self._writer is None or self._writer.can_add(format) for format in wanted.values()
        )

    def _change_companion(self, session: Session, format: Format | None, wall_ns: int) -> None:
        """At once: no other track is concerned, so nothing begins anew."""
        if format == session.companion:
            return
        session.companion = format
        if format is None:
            self._timeline.remove(COMPANION)
        else:
            self._timeline.add(format)
        if session.published:
            self._send(self._companion.announce(format), session, wall_ns)

    def _change_formats(self, session: Session, unit: Unit) -> bool:
        """Put wanted formats in force at the new lead's keyframe; whether `unit` can be used."""
        if unit.track == COMPANION:
            return True
        wanted = session.wanted or ()
        if unit.track == lead_of(wanted) and unit.keyframe and not unit.damaged:
            session.formats, session.wanted = wanted, None
            self._timeline.begin(session.every, same_clock=True)
            return True
        present = next((f for f in session.formats if f.track == unit.track), None)
        coming = next((f for f in wanted if f.track == unit.track), None)
        usable = present is not None and coming is not None and same_media(present, coming)
        self.counts["before-format"] += not usable
        return usable

    def _send(self, items: list[Item], session: Session, wall_ns: int) -> None:
        if not items or self._publish is None or self._writer is None:
            return
        self._publish(items)
        if not session.published and any(isinstance(item, Sample) for item in items):
            session.published = True
            self._window_ends = None
            self.state = advance(self.state, Trigger.PUBLISHED)
            self._emit(WentLive(session.publisher))
        numbers = (self._writer.msn, self._writer.discontinuity_seq)
        if numbers != self._numbers_told:
            self._numbers_told = numbers
            self._emit(NumbersUsed(*numbers))

    def _leave(self, wall_ns: int) -> None:
        """The present publisher's turn is over; what it sent is closed."""
        session, self._session = self._session, None
        if session is not None and session.begun and self._writer is not None:
            self._send(self._writer.close(wall_ns), session, wall_ns)

    def _finish(self, trigger: Trigger, reason: str, wall_ns: int) -> None:
        if self.over:
            return
        session, self._session = self._session, None
        if self._publish is not None and self._writer is not None:
            self._publish(self._writer.end(wall_ns, final=trigger is not Trigger.STOPPED))
        self._publish = None
        self._window_ends = None
        self.state = advance(self.state, trigger)
        if session is not None:
            self._emit(DropPublisher(session.publisher, reason))
        if self.state is ProgramState.ENDED:
            self._emit(Ended(reason))
