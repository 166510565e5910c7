"""What is kept for viewers who come back to a session that is over."""

from hotpath.fanout.control import ControlEvent
from hotpath.fanout.farewells import KEPT_NS, MAX_KEPT, Farewells
from infra.keys import ProgramKey

KEY = ProgramKey("acme", "ev_1")
ENDED = ControlEvent("ended", {"reason": "event-over"})


def test_it_is_told_once_and_to_who_names_the_programme() -> None:
    farewells = Farewells()
    farewells.keep("s1", KEY, ENDED, 0)
    assert farewells.take("s1", ProgramKey("acme", "ev_2"), 0) is None
    assert farewells.take("s2", KEY, 0) is None
    assert farewells.take("s1", KEY, KEPT_NS - 1) is ENDED
    assert farewells.take("s1", KEY, KEPT_NS - 1) is None


def test_after_its_time_it_is_forgotten() -> None:
    farewells = Farewells()
    farewells.keep("s1", KEY, ENDED, 0)
    farewells.keep("s2", KEY, ENDED, 1)
    assert farewells.take("s1", KEY, KEPT_NS) is None
    assert len(farewells) == 1
    farewells.forget(KEPT_NS + 1)
    assert len(farewells) == 0


def test_an_event_with_many_viewers_takes_bounded_memory() -> None:
    farewells = Farewells()
    for number in range(MAX_KEPT + 3):
        farewells.keep(f"s{number}", KEY, ENDED, number)
    assert len(farewells) == MAX_KEPT
    assert farewells.take("s2", KEY, MAX_KEPT) is None
    assert farewells.take("s3", KEY, MAX_KEPT) is ENDED
