"""Publishers that come before the start of their event: who waits, and what the start does."""

import pytest

from hotpath.program.service import SECOND
from hotpath.program.states import (
    DropPublisher,
    Ended,
    OpenWanted,
    ProgramState,
    PublisherLost,
    WentLive,
)
from hotpath.program.switcher import STALLED, TAKEN_OVER
from hotpath.program.switches import KeyframeWanted, StandbyLost, Switched
from tests.support.switching import (
    BACKUP,
    EPOCH,
    PRIMARY,
    Harness,
)


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
