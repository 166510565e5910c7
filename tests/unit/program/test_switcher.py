"""Two publishers for one programme: which of them feeds it, and what a switch looks like."""

from dataclasses import replace
from itertools import pairwise

import pytest

from hotpath.media.unit import (
    FormatChange,
    ProgramEnd,
)
from hotpath.program.service import SECOND, Numbers
from hotpath.program.states import (
    DropPublisher,
    Ended,
    ProgramState,
    PublisherLost,
    WentLive,
)
from hotpath.program.switcher import STALLED, TAKEN_OVER
from hotpath.program.switches import SILENT, KeyframeWanted, StandbyLost, Switched
from tests.support.switching import (
    AAC,
    BACKUP,
    EPOCH,
    FRAME,
    H264,
    LARGER,
    PRIMARY,
    Harness,
    frames,
)


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
