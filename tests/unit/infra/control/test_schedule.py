"""What time brings to an event: the lobby, the start of what was held back, the end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.control.schedule import Timetable, due, holds_back, next_look
from infra.lifecycle import TRANSITIONS, Actor, AutoStart, EventState, Trigger, advance

S, T = EventState, Trigger
START, END = 10_000_000, 20_000_000
EVENT = Timetable(S.SCHEDULED, START, END, lobby_opens_s=900)
HELD = replace(EVENT, state=S.LOBBY, auto_start=AutoStart.AT_TIME, on_air=True)
ENDS = replace(EVENT, auto_end=True, end_grace_s=60)


def lived(event: Timetable, now_ms: int) -> Timetable:
    """The event once everything that is due has been done."""
    for _ in range(5):
        trigger = due(event, now_ms)
        if trigger is None:
            return event
        event = replace(event, state=advance(event.state, trigger, Actor.CLOCK))
    raise AssertionError("it comes to no end")


@pytest.mark.parametrize(
    ("event", "now_ms", "trigger"),
    [
        (EVENT, START - 900_001, None),
        (EVENT, START - 900_000, T.LOBBY_OPENS),
        (replace(EVENT, lobby_opens_s=0), START - 1, None),
        (replace(EVENT, lobby_opens_s=0), START, T.LOBBY_OPENS),
        (replace(EVENT, starts_at_ms=None, ends_at_ms=None), END, None),
        (replace(EVENT, state=S.DRAFT), END, None),
        (HELD, START - 1, None),
        (HELD, START, T.START),
        (replace(HELD, on_air=False), START, None),
        # Its organiser does not want to wait any more.
        (replace(HELD, auto_start=AutoStart.ON_PUBLISH), START - 1, T.START),
        (EVENT, END, T.LOBBY_OPENS),  # its end is only announced
        (ENDS, END + 59_999, T.LOBBY_OPENS),
        (ENDS, END + 60_000, T.EXPIRE),
        (replace(ENDS, state=S.LOBBY), END + 60_000, T.EXPIRE),
        (replace(ENDS, state=S.RECONNECTING), END + 60_000, T.EXPIRE),
        (replace(ENDS, state=S.ENDED), END + 60_000, None),
        (replace(ENDS, state=S.CANCELLED), END + 60_000, None),
    ],
)
def test_what_is_due(event: Timetable, now_ms: int, trigger: Trigger | None) -> None:
    assert due(event, now_ms) is trigger


@pytest.mark.parametrize(
    ("event", "now_ms", "moment"),
    [
        (EVENT, 0, START - 900_000),
        (EVENT, END, END),
        (replace(EVENT, state=S.LOBBY), 0, None),
        (replace(HELD, on_air=False), 0, START),
        (replace(HELD, on_air=False), START, None),
        (replace(ENDS, state=S.LIVE), 0, END + 60_000),
        (replace(ENDS, state=S.ENDED), 0, None),
        (replace(EVENT, state=S.DRAFT), 0, None),
    ],
)
def test_when_to_look_next(event: Timetable, now_ms: int, moment: int | None) -> None:
    assert next_look(event, now_ms) == moment


def test_pictures_that_come_too_early_are_held_back() -> None:
    assert holds_back(HELD, START - 1)
    assert not holds_back(HELD, START)
    assert not holds_back(replace(HELD, state=S.LIVE), START - 1)
    assert not holds_back(EVENT, START - 1)


events = st.builds(
    Timetable,
    state=st.sampled_from(S),
    starts_at_ms=st.none() | st.integers(0, 10_000),
    ends_at_ms=st.none() | st.integers(0, 10_000),
    lobby_opens_s=st.integers(0, 20),
    auto_start=st.sampled_from(AutoStart),
    auto_end=st.booleans(),
    end_grace_s=st.integers(0, 5),
    on_air=st.booleans(),
)


@given(events, st.integers(-20_000, 20_000))
def test_what_is_due_is_legal_and_comes_to_an_end(event: Timetable, now_ms: int) -> None:
    trigger = due(event, now_ms)
    assert trigger is None or (event.state, trigger) in TRANSITIONS
    assert due(lived(event, now_ms), now_ms) is None


@given(events, st.integers(-20_000, 20_000), st.integers(0, 40_000))
def test_nobody_looks_too_late(event: Timetable, now_ms: int, later_ms: int) -> None:
    settled = lived(event, now_ms)
    look = next_look(settled, now_ms)
    if look is None or now_ms + later_ms < look:
        assert due(settled, now_ms + later_ms) is None
