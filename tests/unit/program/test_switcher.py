"""Two publishers for one programme: which of them feeds it, and what a switch looks like."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from hotpath.media.unit import (
    AUDIO,
    VIDEO,
    Codec,
    Format,
    FormatChange,
    Item,
    ProgramEnd,
    Sample,
    Unit,
)
from hotpath.program.service import SECOND, Numbers, ProgramOptions
from hotpath.program.states import (
    DropPublisher,
    Ended,
    OpenWanted,
    ProgramState,
    PublisherLost,
    WentLive,
)
from hotpath.program.switcher import STALLED, TAKEN_OVER, Switcher
from hotpath.program.switches import SILENT, KeyframeWanted, StandbyLost, Switched, SwitcherEvent
from infra.publishers import Role

HZ = 90_000
EPOCH = 1_790_000_000 * SECOND
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360, frame_duration=3000)
LARGER = Format(VIDEO, Codec.H264, HZ, b"sps2", "avc1.42c01f", 1280, 720, frame_duration=3000)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"asc", "mp4a.40.2", sample_rate=48_000, frame_duration=1024)
PRIMARY, BACKUP = Role.PRIMARY, Role.BACKUP
FRAME = SECOND // 30
CLOCKS = 5_000_000
"""Ticks between the beginnings of two publishers' clocks."""


class Harness:
    """A switcher whose storage opens at once, on a clock that moves with the media."""

    def __init__(self, **options: int) -> None:
        self.events: list[SwitcherEvent] = []
        self.items: list[Item] = []
        self.now = 0
        self.switcher = Switcher(ProgramOptions(**options), self._heard)

    def _heard(self, event: SwitcherEvent) -> None:
        self.events.append(event)
        if isinstance(event, OpenWanted):
            numbers = Numbers(0, 0, event.epoch_ns)
            self.switcher.opened(self._publish, numbers, self.now, EPOCH + self.now)

    def _publish(self, items: Iterable[Item]) -> None:
        self.items += items

    def connect(
        self, publisher: int, role: Role = PRIMARY, formats: Sequence[Format] = (H264, AAC)
    ) -> None:
        self.switcher.publisher_connected(publisher, role, self.now, EPOCH + self.now)
        self.switcher.publisher_formats(publisher, formats, self.now, EPOCH + self.now)

    def send(self, seconds: float, *publishers: int, gop: int = 30) -> None:
        """Frames of these publishers side by side, in real time."""
        for _ in range(round(seconds * 30)):
            self.now += FRAME
            self.poll()
            for publisher in publishers:
                units = frames(publisher, self.now, gop)
                self.switcher.publisher_units(publisher, units, self.now, EPOCH + self.now)

    def lose(self, publisher: int, reason: str = "connection-lost") -> None:
        self.switcher.publisher_lost(publisher, reason, self.now, EPOCH + self.now)

    def replace(self, publisher: int) -> None:
        self.switcher.publisher_replaced(publisher, self.now, EPOCH + self.now)

    def hold(self) -> None:
        self.switcher.hold(EPOCH + self.now)

    def release(self) -> None:
        self.switcher.release(self.now, EPOCH + self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, polling whenever that was asked for."""
        until = self.now + round(seconds * SECOND)
        while (due := self.switcher.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.poll()
        self.now = until

    def poll(self) -> None:
        for _ in range(20):
            due = self.switcher.next_deadline()
            if due is None or due > self.now:
                return
            self.switcher.poll(self.now, EPOCH + self.now)
        raise AssertionError("it asks to be polled for ever")

    def heard(self, kind: type) -> list[SwitcherEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def pictures(self, publisher: int | None = None) -> list[Sample]:
        tag = None if publisher is None else b"%d" % publisher
        return [
            item
            for item in self.items
            if isinstance(item, Sample)
            and item.unit.track == VIDEO
            and (tag is None or item.unit.data == tag)
        ]


def frames(publisher: int, now: int, gop: int) -> list[Unit]:
    """A picture and its sound, whose bytes say whose they are."""
    number = round(now / FRAME)
    dts, at = publisher * CLOCKS + number * 3000, EPOCH + now
    tag = b"%d" % publisher
    picture = Unit(VIDEO, dts, dts, number % gop == 0, tag, at, at)
    return [picture, Unit(AUDIO, dts, dts, True, tag, at, at)]


@pytest.fixture
def both() -> Harness:
    """The primary is on the air, the backup beside it."""
    harness = Harness()
    harness.connect(1)
    harness.send(2, 1)
    harness.connect(2, BACKUP)
    harness.send(2.4, 1, 2)
    return harness


def test_nothing_of_a_standby_is_published(both: Harness) -> None:
    assert both.switcher.active == 1
    assert both.switcher.roles == {1: PRIMARY, 2: BACKUP}
    assert both.pictures(2) == []
    assert both.heard(Switched) == []
    assert both.heard(DropPublisher) == []


def test_a_lost_publisher_costs_nothing_but_a_discontinuity(both: Harness) -> None:
    lost_at = both.now
    both.lose(1)
    assert both.switcher.active == 2
    assert both.heard(Switched) == [Switched(2, BACKUP, PRIMARY, "connection-lost")]
    assert both.heard(PublisherLost) == []
    both.send(1, 2)
    assert both.switcher.program.state is ProgramState.LIVE
    mine = both.pictures(2)
    assert mine[0].unit.keyframe
    assert EPOCH + lost_at - mine[0].unit.ingest_ns < SECOND
    assert len(mine) == round((both.now - (mine[0].unit.ingest_ns - EPOCH)) / FRAME) + 1
    assert {sample.mark.discontinuity_seq for sample in mine} == {1}
    times = [sample.unit.dts for sample in both.pictures()]
    assert all(before < after for before, after in pairwise(times))
    numbers = [sample.mark.msn for sample in both.pictures()]
    assert all(after - before in (0, 1) for before, after in pairwise(numbers))
    assert both.switcher.switches == {"lost": 1}


def test_a_silent_publisher_gives_way_and_becomes_the_standby(both: Harness) -> None:
    both.send(0.9, 2)
    assert both.switcher.active == 1
    both.send(0.2, 2)
    assert both.switcher.active == 2
    assert both.heard(Switched) == [Switched(2, BACKUP, PRIMARY, SILENT)]
    assert both.heard(DropPublisher) == []
    both.send(2, 1, 2)
    assert both.switcher.active == 2
    both.lose(2)
    assert both.switcher.active == 1
    both.send(1, 1)
    assert {s.mark.discontinuity_seq for s in both.pictures(1)} == {0, 2}
    assert both.switcher.switches == {SILENT: 1, "lost": 1}


def test_the_publisher_that_returns_is_standby(both: Harness) -> None:
    both.lose(1)
    both.connect(3)
    both.send(3, 2, 3)
    assert both.switcher.active == 2
    both.lose(2)
    both.send(1, 3)
    assert both.heard(Switched)[-1] == Switched(3, PRIMARY, BACKUP, "connection-lost")
    assert both.pictures(3)


def test_a_backup_that_comes_first_is_active(both: Harness) -> None:
    harness = Harness()
    harness.connect(2, BACKUP)
    harness.connect(1)
    harness.send(2, 1, 2)
    assert harness.switcher.active == 2
    assert harness.pictures(1) == []


def test_the_loss_of_a_standby_is_told_and_is_no_loss_of_the_programme(both: Harness) -> None:
    both.lose(2, "connection-lost")
    assert both.heard(StandbyLost) == [StandbyLost(2, BACKUP, "connection-lost")]
    assert both.heard(PublisherLost) == []
    both.send(1, 1)
    both.lose(1)
    assert both.heard(PublisherLost) == [PublisherLost(1, "connection-lost")]


def test_a_silent_standby_does_not_step_in(both: Harness) -> None:
    both.send(1.5, 1)
    both.lose(1)
    assert both.switcher.active is None
    assert both.heard(PublisherLost) == [PublisherLost(1, "connection-lost")]
    both.send(2, 2)
    assert both.heard(Switched) == [Switched(2, BACKUP, PRIMARY, "connection-lost")]
    assert both.switcher.program.state is ProgramState.LIVE


def test_two_silent_publishers_stay_as_they_are_and_are_dropped_in_the_end(both: Harness) -> None:
    both.wait(8)
    assert both.heard(Switched) == []
    both.wait(3)
    assert both.heard(DropPublisher) == [DropPublisher(2, STALLED), DropPublisher(1, STALLED)]
    assert both.heard(StandbyLost) == [StandbyLost(2, BACKUP, "stalled")]
    assert both.heard(PublisherLost) == [PublisherLost(1, "stalled")]
    assert both.switcher.roles == {}


def test_a_stalled_standby_is_dropped(both: Harness) -> None:
    both.send(11, 1)
    assert both.heard(DropPublisher) == [DropPublisher(2, STALLED)]
    assert both.heard(StandbyLost) == [StandbyLost(2, BACKUP, "stalled")]
    both.lose(2)
    assert len(both.heard(StandbyLost)) == 1
    assert both.switcher.roles == {1: PRIMARY}


def test_the_silent_active_publisher_is_dropped_once_it_has_stalled_as_standby(
    both: Harness,
) -> None:
    both.send(11, 2)
    assert both.heard(DropPublisher) == [DropPublisher(1, STALLED)]
    assert both.heard(PublisherLost) == []
    assert both.switcher.active == 2


def test_a_standby_without_a_keyframe_is_asked_for_one_and_waited_for() -> None:
    harness = Harness()
    harness.connect(1)
    harness.send(2.1, 1)
    harness.connect(2, BACKUP)
    harness.send(0.5, 1, 2)
    harness.send(1.1, 2, gop=1000)
    assert harness.switcher.active == 1
    assert harness.heard(KeyframeWanted) == [KeyframeWanted(2)]
    harness.send(0.5, 2, gop=10)
    assert harness.switcher.active == 2
    assert harness.pictures(2)[0].unit.keyframe


def test_a_publisher_that_sends_again_in_time_stays_on_the_air() -> None:
    harness = Harness()
    harness.connect(1)
    harness.send(2.1, 1)
    harness.connect(2, BACKUP)
    harness.send(1.2, 2, gop=1000)
    assert harness.heard(KeyframeWanted) == [KeyframeWanted(2)]
    harness.send(0.5, 1, 2, gop=1000)
    harness.send(0.5, 1, 2, gop=10)
    assert harness.switcher.active == 1
    assert harness.pictures(2) == []


def test_a_fresh_keyframe_is_good_enough_however_far_ahead_the_programme_is(both: Harness) -> None:
    wall_ns = EPOCH + both.now
    later = [frames(1, both.now + n * FRAME, 30)[0] for n in range(150)]
    burst = [replace(unit, ingest_ns=wall_ns) for unit in later]
    both.switcher.publisher_units(1, burst, both.now, wall_ns)
    both.send(1.1, 2, gop=1000)
    assert both.switcher.active == 1
    both.send(0.5, 2, gop=10)
    assert both.switcher.active == 2


def test_a_lost_publisher_hands_over_to_a_standby_that_has_no_picture_yet() -> None:
    harness = Harness()
    harness.connect(1)
    harness.send(2.1, 1)
    harness.connect(2, BACKUP)
    harness.send(0.5, 1, 2)
    harness.lose(1)
    assert harness.heard(PublisherLost) == [PublisherLost(1, "connection-lost")]
    assert harness.heard(KeyframeWanted) == [KeyframeWanted(2)]
    assert harness.switcher.active == 2
    assert harness.switcher.program.state is ProgramState.RECONNECTING
    harness.send(1, 2)
    assert harness.switcher.program.state is ProgramState.LIVE
    assert harness.heard(WentLive) == [WentLive(1), WentLive(2)]


def test_a_keyframe_so_old_that_viewers_would_see_much_twice_is_not_used() -> None:
    harness = Harness()
    harness.connect(1)
    harness.connect(2, BACKUP)
    harness.send(5.9, 1, 2, gop=90)
    harness.lose(1)
    assert harness.pictures(2) == []
    assert harness.heard(KeyframeWanted) == [KeyframeWanted(2)]
    harness.send(1, 2, gop=90)
    ahead = harness.pictures(2)[0].mark.pdt_ns - harness.pictures(2)[0].unit.ingest_ns
    assert abs(ahead) < SECOND // 10


def test_many_switches_do_not_add_up(both: Harness) -> None:
    active, publishers = 1, {1: PRIMARY, 2: BACKUP}
    for _ in range(12):
        both.lose(active)
        both.connect(active, publishers[active])
        active = 3 - active
        both.send(1.7, 1, 2)
        newest = both.pictures()[-1]
        assert newest.unit.data == b"%d" % active
        assert newest.mark.pdt_ns - newest.unit.ingest_ns <= 2 * SECOND + FRAME


def test_a_standby_with_another_format_brings_its_own_init_section() -> None:
    harness = Harness()
    harness.connect(1)
    harness.connect(2, BACKUP, [LARGER, AAC])
    harness.send(2.4, 1, 2)
    harness.lose(1)
    harness.send(1, 2)
    assert FormatChange(LARGER, 1) in harness.items
    assert {s.mark.discontinuity_seq for s in harness.pictures(2)} == {1}


def test_a_standby_that_changed_its_format_is_ready_after_its_next_keyframe(both: Harness) -> None:
    both.switcher.publisher_formats(2, [LARGER, AAC], both.now, EPOCH + both.now)
    both.send(0.9, 1, 2)
    both.lose(1)
    both.send(1, 2)
    assert both.heard(PublisherLost) == []
    assert FormatChange(LARGER, 1) in both.items


def test_picture_alone_is_not_kept_waiting_for_sound_it_never_had() -> None:
    harness = Harness()
    harness.connect(1)
    harness.connect(2, BACKUP, [H264])
    for _ in range(75):
        harness.send(1 / 30, 1)
        picture = frames(2, harness.now, 30)[:1]
        harness.switcher.publisher_units(2, picture, harness.now, EPOCH + harness.now)
    harness.lose(1)
    harness.wait(0.6)
    assert harness.pictures(2)


def test_a_second_of_the_same_role_takes_over_from_the_active_one(both: Harness) -> None:
    both.connect(3)
    assert both.heard(DropPublisher) == [DropPublisher(1, TAKEN_OVER)]
    assert both.switcher.active == 3
    assert both.switcher.roles == {2: BACKUP, 3: PRIMARY}
    both.send(1.1, 2, 3)
    assert both.pictures(2) == []
    assert both.pictures(3)
    assert both.heard(Switched) == []


def test_a_second_of_the_same_role_takes_over_from_the_standby(both: Harness) -> None:
    both.connect(3, BACKUP)
    assert both.heard(DropPublisher) == [DropPublisher(2, TAKEN_OVER)]
    assert both.switcher.active == 1
    both.lose(2)
    assert both.heard(StandbyLost) == []
    both.send(1.5, 1, 3)
    both.lose(1)
    both.send(0.1, 3)
    assert both.pictures(3)


def test_a_successor_that_ingest_let_in_goes_before_the_standby(both: Harness) -> None:
    both.replace(1)
    both.send(0.5, 2)
    assert both.switcher.active is None
    both.connect(3)
    assert both.switcher.active == 3
    both.send(1.1, 2, 3)
    assert both.pictures(3)
    assert both.heard(PublisherLost) == both.heard(Switched) == []


def test_the_air_is_kept_for_a_successor_of_the_same_role(both: Harness) -> None:
    both.lose(2)
    both.replace(1)
    both.connect(3, BACKUP)
    assert both.switcher.active is None
    both.connect(1)
    assert both.switcher.active == 1


def test_a_successor_that_never_comes_leaves_the_air_to_the_standby(both: Harness) -> None:
    both.replace(1)
    both.send(1.1, 2)
    assert both.switcher.active == 2
    assert both.pictures(2)


def test_a_standby_that_ingest_replaced_is_not_missed(both: Harness) -> None:
    both.replace(2)
    both.connect(3, BACKUP)
    assert both.switcher.active == 1
    assert both.heard(StandbyLost) == []


def test_the_end_drops_both(both: Harness) -> None:
    both.switcher.close("ended by request", both.now, EPOCH + both.now)
    assert both.items[-1] == ProgramEnd(final=True)
    assert {e.publisher for e in both.heard(DropPublisher)} == {1, 2}  # type: ignore[union-attr]
    both.connect(3)
    assert both.heard(DropPublisher)[-1] == DropPublisher(3, "the event is over")
    assert both.switcher.next_deadline() is None


def test_a_stop_drops_both_and_ends_nothing(both: Harness) -> None:
    both.switcher.stop(both.now, EPOCH + both.now)
    assert both.items[-1] == ProgramEnd(final=False)
    assert {e.publisher for e in both.heard(DropPublisher)} == {1, 2}  # type: ignore[union-attr]
    assert both.heard(Ended) == []


def test_a_resumed_programme_takes_whoever_comes_first() -> None:
    harness = Harness()
    harness.switcher.resume(harness._publish, Numbers(96, 4, EPOCH), 0)
    harness.connect(2, BACKUP)
    harness.send(1.5, 2)
    assert harness.switcher.active == 2
    assert harness.pictures(2)[0].mark.msn == 96


@pytest.fixture
def held() -> Harness:
    """Both wait for the start, the backup for longer."""
    harness = Harness(reconnect_window_s=5)
    harness.hold()
    harness.connect(2, BACKUP)
    harness.connect(1)
    harness.send(2.4, 1, 2)
    return harness


def test_before_the_start_everybody_stands_by_and_nothing_is_published(held: Harness) -> None:
    assert held.switcher.roles == {1: PRIMARY, 2: BACKUP}
    assert held.switcher.active is None
    assert held.switcher.next_deadline() is None
    assert held.events == []
    assert held.items == []


def test_at_the_start_the_primary_goes_on_the_air_with_its_next_keyframe(held: Harness) -> None:
    released_at = held.now
    held.release()
    assert held.heard(KeyframeWanted) == [KeyframeWanted(1)]
    assert held.switcher.active == 1
    held.send(1.5, 1, 2)
    assert held.pictures(2) == []
    assert held.heard(Switched) == []
    assert held.switcher.switches == {}
    assert held.heard(WentLive) == [WentLive(1)]
    first = held.pictures()[0]
    assert first.unit.keyframe
    assert EPOCH + released_at < first.unit.ingest_ns <= EPOCH + released_at + SECOND
    assert (first.mark.msn, first.mark.discontinuity_seq) == (0, 0)


def test_at_the_start_the_backup_goes_on_the_air_if_it_alone_sends(held: Harness) -> None:
    held.send(1.1, 2)
    held.release()
    assert held.switcher.active == 2
    held.send(1.5, 1, 2)
    assert held.pictures(2)
    assert held.pictures(1) == []
    assert held.heard(Switched) == []


def test_silence_before_the_start_disconnects_nobody_and_counts_from_the_start(
    held: Harness,
) -> None:
    held.wait(3600)
    held.switcher.poll(held.now, EPOCH + held.now)
    held.release()
    assert held.switcher.active == 1
    held.wait(8)
    assert held.heard(DropPublisher) == []
    held.send(1.5, 2)
    assert held.switcher.active == 2
    held.wait(3)
    assert held.heard(DropPublisher) == [DropPublisher(1, STALLED)]


def test_whoever_leaves_before_the_start_is_told_and_starts_no_reconnect_window(
    held: Harness,
) -> None:
    held.lose(1)
    held.lose(2)
    assert held.heard(StandbyLost) == [
        StandbyLost(1, PRIMARY, "connection-lost"),
        StandbyLost(2, BACKUP, "connection-lost"),
    ]
    held.wait(3600)
    held.release()
    assert held.switcher.active is None
    assert held.switcher.program.state is ProgramState.WAITING
    held.connect(3)
    held.send(1.5, 3)
    assert held.pictures(3)


def test_a_second_of_the_same_role_takes_over_before_the_start(held: Harness) -> None:
    held.connect(3)
    held.replace(2)
    held.connect(4, BACKUP)
    assert held.heard(DropPublisher) == [DropPublisher(1, TAKEN_OVER)]
    held.lose(1)
    held.send(0.5, 3, 4)
    assert held.items == []
    held.release()
    assert held.switcher.active == 3


def test_a_start_that_is_moved_takes_back_who_has_no_picture_yet() -> None:
    harness = Harness()
    harness.connect(1)
    harness.connect(2, BACKUP)
    harness.send(0.5, 1, 2)
    harness.hold()
    harness.send(20, 1, 2)
    harness.lose(1)
    assert harness.items == []
    assert harness.heard(DropPublisher) == []
    harness.release()
    harness.send(1.5, 2)
    assert harness.pictures(2)
    assert harness.heard(Switched) == harness.heard(PublisherLost) == []


def test_who_was_lost_before_a_start_that_is_moved_is_forgotten() -> None:
    harness = Harness()
    harness.connect(1)
    harness.lose(1)
    harness.hold()
    harness.connect(2)
    harness.send(0.5, 2)
    harness.release()
    assert harness.switcher.active == 2
    assert harness.heard(Switched) == []
    assert harness.switcher.switches == {}


def test_an_event_that_is_over_before_its_start_ends_with_nothing(held: Harness) -> None:
    held.switcher.close("ended by request", held.now, EPOCH + held.now)
    # The node forgets the programme when it hears of the end.
    reason = "ended by request"
    assert held.events == [DropPublisher(2, reason), DropPublisher(1, reason), Ended(reason)]
    held.release()
    held.connect(3)
    held.send(1.5, 3)
    assert held.items == []
    assert held.heard(OpenWanted) == []


class AnyOrder(RuleBasedStateMachine):
    """Publishers that connect, send, fall silent and leave as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness(reconnect_window_s=5)
        self.number = 0
        self.connected: dict[Role, int] = {}
        self.gone: set[int] = set()
        self.checked = 0
        self.released_at = 0
        self.stalled = 0
        """How many had been sent away for their silence when it was held."""

    @initialize(held=st.booleans())
    def begin(self, held: bool) -> None:
        if held:
            self.hold()

    @property
    def over(self) -> bool:
        return self.harness.switcher.program.over

    @property
    def held(self) -> bool:
        return self.harness.switcher.held

    def sent_away(self) -> int:
        """How many, for their silence."""
        drops = self.harness.heard(DropPublisher)
        return sum(e.reason == STALLED for e in drops)  # type: ignore[union-attr]

    @rule(role=st.sampled_from(list(Role)), larger=st.booleans(), told=st.booleans())
    def connect(self, role: Role, larger: bool, told: bool) -> None:
        older = self.connected.get(role)
        if older is not None and told:
            self.harness.replace(older)
        if older is not None:
            self.gone.add(older)
        self.number += 1
        self.connected[role] = self.number
        self.harness.connect(self.number, role, [LARGER if larger else H264, AAC])

    @rule(
        roles=st.sets(st.sampled_from(list(Role)), min_size=1),
        seconds=st.sampled_from([0.1, 0.5, 1.2, 2.5]),
        gop=st.sampled_from([15, 30, 90, 10_000]),
    )
    def send(self, roles: set[Role], seconds: float, gop: int) -> None:
        senders = [self.connected[role] for role in sorted(roles) if role in self.connected]
        self.harness.send(seconds, *senders, gop=gop)

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        role = data.draw(st.sampled_from(sorted(self.connected)))
        publisher = self.connected.pop(role)
        self.gone.add(publisher)
        self.harness.lose(publisher)

    @precondition(lambda self: not (self.over or self.held or self.harness.heard(OpenWanted)))
    @rule()
    def hold(self) -> None:
        self.stalled = self.sent_away()
        self.harness.hold()

    @precondition(lambda self: self.held)
    @rule()
    def release(self) -> None:
        self.released_at = self.harness.now
        self.harness.release()
        switcher = self.harness.switcher
        assert (switcher.active is None) is not bool(switcher.roles)

    @rule(seconds=st.sampled_from([0.3, 1.0, 3.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.harness.wait(seconds)

    @rule(publisher=st.integers(1, 3))
    def change_format(self, publisher: int) -> None:
        harness = self.harness
        harness.switcher.publisher_formats(publisher, [LARGER, AAC], harness.now, EPOCH)

    @invariant()
    def everybody_is_accounted_for(self) -> None:
        switcher = self.harness.switcher
        dropped = {e.publisher for e in self.harness.heard(DropPublisher)}  # type: ignore[union-attr]
        expected = {p: role for role, p in self.connected.items() if p not in dropped}
        assert switcher.roles == expected
        assert switcher.active is None or switcher.active in expected
        assert switcher.program.publisher == switcher.active

    @invariant()
    def somebody_who_sends_is_on_the_air(self) -> None:
        """Unless a place is kept free for a successor, or the start is waited for."""
        switcher, now = self.harness.switcher, self.harness.now
        if self.held:
            assert switcher.active is None
        elif switcher._kept_free is None and switcher.active is None:
            assert all(now - p.last_units >= SECOND for p in switcher._present.values())

    @invariant()
    def before_the_start_nothing_happens_to_anybody(self) -> None:
        if self.held:
            assert self.harness.items == []
            assert self.sent_away() == self.stalled
            assert self.harness.switcher.next_deadline() is None
            assert self.harness.switcher.program.state is ProgramState.WAITING

    @invariant()
    def what_came_before_the_start_is_never_published(self) -> None:
        if self.released_at and self.harness.items:
            assert self.harness.pictures()[0].unit.ingest_ns > EPOCH + self.released_at

    @invariant()
    def what_is_published_goes_forward_and_keeps_near_the_wall_clock(self) -> None:
        every = self.harness.pictures()
        pictures, self.checked = every[max(0, self.checked - 1) :], len(every)
        assert all(a.unit.dts < b.unit.dts for a, b in pairwise(pictures))
        assert all(b.mark.msn - a.mark.msn in (0, 1) for a, b in pairwise(pictures))
        for sample in pictures:
            # The last frame's own duration comes on top.
            assert sample.mark.pdt_ns - sample.unit.ingest_ns <= 2 * SECOND + 2 * FRAME

    @invariant()
    def a_publisher_is_on_the_air_from_one_switch_to_the_next(self) -> None:
        turns = [p.unit.data for p in self.harness.pictures()]
        changes = sum(a != b for a, b in pairwise(turns))
        heard = self.harness.events
        reasons = [e for e in heard if isinstance(e, Switched | WentLive)]
        assert changes <= len(reasons)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=30, stateful_step_count=15)
