"""What a programme has on the air: units of publishers, or the slate, as one stream of items.

Invariant: items go out in the order in which they are made, and none after `end`. A stretch begins
with `MarkWriter.begin`, whoever fills it; the slate starts no earlier than anything ended, and what
it has filled no publisher fills again.

Upstream: `hotpath.program.service`. Downstream: a `ProgramStream`. Times are decided by `timeline`,
boundaries by `marks`, what the slate shows by `slate`. Pure, as those are.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from hotpath.media.silence import silence_for
from hotpath.media.unit import COMPANION, VIDEO, Format, Item, Unit
from hotpath.program.companion import Companion
from hotpath.program.marks import MarkWriter
from hotpath.program.options import SECOND, Numbers, ProgramOptions, Publish
from hotpath.program.session import Session
from hotpath.program.slate import Slate
from hotpath.program.states import NumbersUsed
from hotpath.program.timeline import CLOCK_HZ, Stretch, Timeline


class Output:
    """Of one incarnation; see the module for the invariant."""

    def __init__(
        self,
        publish: Publish,
        numbers: Numbers,
        options: ProgramOptions,
        on_numbers: Callable[[NumbersUsed], None],
    ) -> None:
        self._publish: Publish | None = publish
        self._on_numbers = on_numbers
        self._numbers_told = (-1, -1)
        self._epoch_ns = numbers.epoch_ns
        self._timeline = Timeline(numbers.epoch_ns)
        self._companion = Companion(numbers.epoch_ns)
        self._writer = MarkWriter(
            epoch_ns=numbers.epoch_ns,
            msn=numbers.msn,
            discontinuity_seq=numbers.discontinuity_seq,
            part_target_ms=options.part_target_ms,
            target_duration_s=options.target_duration_s,
        )
        self._slate = Slate(options.part_target_ms, options.target_duration_s)
        self._formats: tuple[Format, ...] = ()
        """Of the stretch that is on the air, without the companion's."""
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """Units left out, repaired or made, by reason."""
        return self._counts + self._timeline.counts + self._writer.counts

    # -- publishers --------------------------------------------------------------------------

    def follow(self, session: Session, *, same_clock: bool) -> None:
        """The session's next keyframe starts a stretch."""
        self._timeline.begin(session.every, same_clock=same_clock)

    def take(self, session: Session, unit: Unit, wall_ns: int) -> list[Item]:
        """A unit of the session that is followed."""
        items: list[Item] = []
        for step in self._timeline.receive(unit):
            if isinstance(step, Stretch):
                self._slate.stop()
                items += self._begin(session.formats, wall_ns)
                items += self._companion.announce(session.companion)
            else:
                items += self._write(step, wall_ns)
        return items

    @property
    def expects_audio(self) -> bool:
        """Whether whoever comes next may have sound, as far as is known."""
        return not self._formats or any(format.track != VIDEO for format in self._formats)

    def can_add(self, format: Format) -> bool:
        """Whether the track can join the stretch that is on the air."""
        return self._writer.can_add(format)

    def change(self, before: Sequence[Format], formats: tuple[Format, ...]) -> list[Item]:
        """The session that is followed has other tracks than before, without a new stretch."""
        items: list[Item] = []
        names = {format.track for format in formats}
        for format in before:
            if format.track not in names:
                self._timeline.remove(format.track)
                if not self._slate.on:
                    self._writer.remove(format.track)
        names = {format.track for format in before}
        for format in formats:
            if format.track not in names:
                self._timeline.add(format)
                if not self._slate.on:
                    items += self._writer.add(format)
        if not self._slate.on:
            self._formats = formats
        return items

    def change_companion(self, format: Format | None, *, announce: bool) -> list[Item]:
        """At once: no other track is concerned, so nothing begins anew."""
        if format is None:
            self._timeline.remove(COMPANION)
        else:
            self._timeline.add(format)
        return self._companion.announce(format) if announce else []

    def leave(self, wall_ns: int) -> list[Item]:
        """The session has had its turn: what it sent is closed."""
        return [] if self._slate.on else self._close(wall_ns)

    # -- the slate ---------------------------------------------------------------------------

    @property
    def slate_due(self) -> int | None:
        """Monotonic ns of its next beat; None: it is not on."""
        return self._slate.due if self._slate.on else None

    def show_slate(self, now: int, wall_ns: int) -> bool:
        """Nobody sends: begin the slate or go on with it. False: there is nothing to show."""
        items: list[Item] = []
        if not self._slate.on:
            items += self._begin_slate(now, wall_ns)
        if self._slate.on and now >= self._slate.due:
            clock = (wall_ns - self._epoch_ns) * CLOCK_HZ // SECOND
            for beat in self._slate.poll(now, clock, wall_ns):
                self._counts["slate-frames"] += 1
                for unit in beat:
                    items += self._write(unit, wall_ns)
                items += self._writer.cut_parts()
            self._timeline.reserve(self._slate.end)
        self.send(items)
        return self._slate.on

    def unfilled(self, units: Sequence[Unit]) -> list[Unit]:
        """Without the sound that came while the slate filled its time: a picture has to begin at
        its keyframe, sound alone can begin anywhere."""
        if not self._slate.on or any(unit.track == VIDEO for unit in units):
            return list(units)
        filled_ns = self._epoch_ns + self._slate.end * SECOND // CLOCK_HZ
        return [unit for unit in units if unit.ingest_ns >= filled_ns]

    def _begin_slate(self, now: int, wall_ns: int) -> list[Item]:
        items, companion = self._close(wall_ns), self._companion.format
        start = self._writer.reached
        formats = self._slate.begin(self._formats, start, now)
        if formats:
            if companion is not None:
                self._slate.accompany(companion, self._timeline.companion_end)
            self._counts["slates"] += 1
            items += self._begin(formats, wall_ns)
        return items

    # -- both --------------------------------------------------------------------------------

    def send(self, items: list[Item]) -> None:
        if not items or self._publish is None:
            return
        self._publish(items)
        numbers = (self._writer.msn, self._writer.discontinuity_seq)
        if numbers != self._numbers_told:
            self._numbers_told = numbers
            self._on_numbers(NumbersUsed(*numbers))

    def end(self, wall_ns: int, *, final: bool) -> None:
        """Close everything; nothing follows."""
        if self._publish is not None:
            self._publish([*self._fill_sounds(wall_ns), *self._writer.end(wall_ns, final=final)])
        self._slate.stop()
        self._publish = None

    def _close(self, wall_ns: int) -> list[Item]:
        items = [*self._fill_sounds(wall_ns), *self._writer.close(wall_ns)]
        # A sound may have been mapped far ahead of a late picture, and left out now.
        self._timeline.reserve(self._writer.reached)
        return items

    def _begin(self, formats: tuple[Format, ...], wall_ns: int) -> list[Item]:
        self._formats = formats
        return [*self._fill_sounds(wall_ns), *self._writer.begin(formats, wall_ns)]

    def _fill_sounds(self, wall_ns: int) -> list[Item]:
        """Silence up to where the picture ends: time without units would be in no part."""
        items: list[Item] = []
        for format, start, until in self._writer.holes():
            if (silence := silence_for(format)) is None:
                continue
            for at in range(start, until, silence.samples):
                frame = Unit(format.track, at, at, True, silence.data, wall_ns, wall_ns, slate=True)
                items += self._write(frame, wall_ns)
        return items

    def _write(self, unit: Unit, wall_ns: int) -> list[Item]:
        if unit.track == COMPANION:
            return self._companion.write(unit, wall_ns)
        if unit.track == VIDEO and unit.keyframe and not unit.damaged and not unit.slate:
            self._slate.remember(unit)
        return self._writer.write(unit, wall_ns)
