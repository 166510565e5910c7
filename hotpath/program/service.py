"""One programme: publishers come and go, one continuous stream of marked items comes out.

Invariant: whatever publishers do, every item goes out in order and once; after `ProgramEnd`
nothing does. The programme never waits and never reads a clock: time is an argument (`now`:
monotonic ns for deadlines, `wall_ns`: Unix ns for what is published), `next_deadline` says when
`poll` is due.

A publisher that is lost, or silent for `quiet_ns`, gives way to the slate until a keyframe of it or
of another is on the air. The slate is no publisher: the programme's state does not change by it.

Upstream: `hotpath.node` forwards what ingest says. Downstream: a `ProgramStream`, and the node,
which hears `ProgramEvent`s. What goes on the air is `output`'s, whose turn it is `session`'s.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from hotpath.media.unit import Format, Item, Sample, Unit
from hotpath.program.companion import apart
from hotpath.program.complaints import Complaints
from hotpath.program.options import SECOND, Numbers, ProgramOptions, Publish
from hotpath.program.output import Output
from hotpath.program.session import Session
from hotpath.program.states import (
    DropPublisher,
    Ended,
    OpenWanted,
    ProgramEvent,
    ProgramState,
    PublisherLost,
    Trigger,
    WentLive,
    advance,
)
from hotpath.program.timeline import programme_format

__all__ = ["SECOND", "Numbers", "Program", "ProgramOptions", "Publish"]


class Program:
    """One feed of one event on this node; see the module for the invariant."""

    def __init__(self, options: ProgramOptions, on_event: Callable[[ProgramEvent], None]) -> None:
        self.state = ProgramState.WAITING
        self.options = options
        self.counts: Counter[str] = Counter()
        """Units left out before they got as far as the output, by reason."""
        self._emit = on_event
        self._output: Output | None = None
        self._session: Session | None = None
        self._open_wanted = False
        self._window_ends: int | None = None
        self._slate_at: int | None = None
        """Monotonic ns: if no publisher is on the air by then, the slate is."""
        self._complaints = Complaints()
        self._report_at: int | None = None

    @property
    def publisher(self) -> int | None:
        """The publisher whose units go on the air."""
        return self._session.publisher if self._session else None

    # -- the node ----------------------------------------------------------------------------

    def opened(self, publish: Publish, numbers: Numbers, now: int, wall_ns: int) -> None:
        """An incarnation is durable: from now on the programme may publish."""
        self._output = Output(publish, numbers, self.options, self._emit)
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
        session, output = self._session, self._output
        if session is None or session.publisher != publisher:
            return
        if not session.begun or output is None:
            session.describe(formats)
            self._try_begin(now, wall_ns)
            return
        coming, companion = apart(programme_format(format) for format in formats)
        if companion != session.companion:
            session.companion = companion
            self._send(output.change_companion(companion, announce=session.published), session)
        if session.needs_new_beginning(coming, output.can_add):
            session.wanted = coming
            return
        before, session.formats, session.wanted = session.formats, coming, None
        self._send(output.change(before, coming), session)

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
        if self._slate_at is not None:
            self._slate_at = now
            self._poll_slate(now, wall_ns)

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
        if (slate_due := self._slate_due()) is not None:
            due.append(slate_due)
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
        else:
            self._poll_slate(now, wall_ns)

    def _poll_session(self, session: Session, now: int, wall_ns: int) -> None:
        silent = now - session.last_units
        if silent >= self.options.stalled_ns:
            self._emit(DropPublisher(session.publisher, "it sent nothing for too long"))
            self.publisher_lost(session.publisher, "stalled", now, wall_ns)
            return
        if silent >= self.options.quiet_ns and session.begun and not session.stalled:
            session.stalled = True
            self._begin_slate(session, now, wall_ns)
        if not session.begun:
            self._try_begin(now, wall_ns)
        if self._report_at is not None and now >= self._report_at:
            self._report_at = now + self.options.report_ns
            for warning in self._complaints.poll(self.totals(), now):
                self._emit(warning)

    # -- the slate ---------------------------------------------------------------------------

    def _slate_due(self) -> int | None:
        session = self._session
        if session is not None and not session.begun and session.has_picture:
            # It is about to be on the air: what the slate filled now would set it back.
            return None
        if self._output is not None and self._output.slate_due is not None:
            return self._output.slate_due
        return self._slate_at

    def _poll_slate(self, now: int, wall_ns: int) -> None:
        due = self._slate_due()
        if due is None or now < due or self._output is None:
            return
        self._slate_at = None
        self._output.show_slate(now, wall_ns)

    def _begin_slate(self, session: Session, now: int, wall_ns: int) -> None:
        """The publisher is there and silent; when it goes on, its next keyframe is waited for."""
        if self._output is None or self._output.slate_due is not None:
            return
        if self._output.show_slate(now, wall_ns):
            self._output.follow(session, same_clock=False)

    # -- inside ------------------------------------------------------------------------------

    def totals(self) -> Counter[str]:
        """Units left out, repaired or made by the programme itself, by reason, so far."""
        return self.counts + (self._output.counts if self._output else Counter[str]())

    def _begins_at(self, session: Session) -> int | None:
        expected = self._output is None or self._output.expects_audio
        return session.begins_at(self.options, audio_expected=expected)

    def _try_begin(self, now: int, wall_ns: int) -> None:
        session = self._session
        if session is None or session.begun or session.first_key is None:
            return
        begins = self._begins_at(session)
        if begins is None or now < begins:
            return
        if self._output is None:
            if not self._open_wanted:
                self._open_wanted = True
                self._emit(OpenWanted(session.first_key.ingest_ns))
            return
        session.begun = True
        self._output.follow(session, same_clock=False)
        self._take(session, self._output.unfilled(session.take()), wall_ns)

    def _take(self, session: Session, units: Sequence[Unit], wall_ns: int) -> None:
        output, items = self._output, list[Item]()
        if output is None:
            return
        for unit in units:
            if session.wanted is not None and session.starts_wanted(unit):
                session.formats, session.wanted = session.wanted, None
                output.follow(session, same_clock=True)
            elif session.wanted is not None and not session.usable_meanwhile(unit):
                self.counts["before-format"] += 1
                continue
            items += output.take(session, unit, wall_ns)
        self._send(items, session)

    def _send(self, items: list[Item], session: Session) -> None:
        """What a session has on the air."""
        if self._output is None:
            return
        self._output.send(items)
        if session.published or not any(_is_media(item) for item in items):
            return
        session.published = True
        self._window_ends = self._slate_at = None
        self.state = advance(self.state, Trigger.PUBLISHED)
        self._emit(WentLive(session.publisher))

    def _leave(self, wall_ns: int) -> None:
        """The present publisher's turn is over; what it sent is closed."""
        session, self._session = self._session, None
        if session is not None and session.begun and self._output is not None:
            self._send(self._output.leave(wall_ns), session)
            self._slate_at = session.last_units + self.options.quiet_ns

    def _finish(self, trigger: Trigger, reason: str, wall_ns: int) -> None:
        if self.over:
            return
        session, self._session = self._session, None
        if self._output is not None:
            self._output.end(wall_ns, final=trigger is not Trigger.STOPPED)
        self._window_ends = self._slate_at = None
        self.state = advance(self.state, trigger)
        if session is not None:
            self._emit(DropPublisher(session.publisher, reason))
        if self.state is ProgramState.ENDED:
            self._emit(Ended(reason))


def _is_media(item: Item) -> bool:
    """Of a publisher."""
    return isinstance(item, Sample) and not item.unit.slate
