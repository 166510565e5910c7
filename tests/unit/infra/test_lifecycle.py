"""Every (state, trigger) pair either follows the table or raises."""

import pytest

from infra.errors import IllegalTransition
from infra.lifecycle import TRANSITIONS, EventState, Trigger, advance

S, T = EventState, Trigger
NORMAL_LIFE = [
    (T.PROGRAM_LIVE, S.LIVE),
    (T.PUBLISHER_LOST, S.RECONNECTING),
    (T.PROGRAM_LIVE, S.LIVE),
    (T.END, S.ENDED),
    (T.PROGRAM_ENDED, S.ENDED),
    (T.ARCHIVE_READY, S.ARCHIVED),
]


def test_a_normal_life() -> None:
    state = S.SCHEDULED
    for trigger, expected in NORMAL_LIFE:
        state = advance(state, trigger)
        assert state is expected


def test_the_reconnect_window_ends_the_event() -> None:
    assert advance(S.RECONNECTING, T.PROGRAM_ENDED) is S.ENDED


@pytest.mark.parametrize("trigger", [T.PUBLISHER_LOST, T.PROGRAM_LIVE, T.PROGRAM_ENDED])
@pytest.mark.parametrize("state", [S.ENDED, S.ARCHIVED])
def test_late_facts_of_a_node_change_nothing(state: EventState, trigger: Trigger) -> None:
    assert advance(state, trigger) is state


@pytest.mark.parametrize(
    ("state", "trigger"),
    [pair for s in S for t in T if (pair := (s, t)) not in TRANSITIONS],
)
def test_everything_else_is_illegal_and_says_what_is_legal(
    state: EventState, trigger: Trigger
) -> None:
    with pytest.raises(IllegalTransition) as caught:
        advance(state, trigger)
    legal = [t.value for s, t in TRANSITIONS if s is state]
    assert all(word in str(caught.value) for word in legal or ["nothing"])


def test_nothing_leaves_a_cancelled_event() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is S.CANCELLED]
