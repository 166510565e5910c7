"""Every (state, trigger) pair either follows the table or raises, and so does every actor."""

import pytest

from infra.errors import ActorRefused, IllegalTransition
from infra.lifecycle import ACTORS, TRANSITIONS, Actor, EventState, Trigger, advance

S, T, A = EventState, Trigger, Actor
NORMAL_LIFE = [
    (T.SCHEDULE, A.API, S.SCHEDULED),
    (T.LOBBY_OPENS, A.CLOCK, S.LOBBY),
    (T.PROGRAM_LIVE, A.MEDIA_NODE, S.LIVE),
    (T.PUBLISHER_LOST, A.MEDIA_NODE, S.RECONNECTING),
    (T.PROGRAM_LIVE, A.MEDIA_NODE, S.LIVE),
    (T.END, A.API, S.ENDED),
    (T.PROGRAM_ENDED, A.MEDIA_NODE, S.ENDED),
    (T.ARCHIVE_READY, A.COLD_PATH, S.ARCHIVED),
]


def somebody(trigger: Trigger) -> Actor:
    """One who may cause it."""
    return min(ACTORS[trigger])


def test_a_normal_life() -> None:
    state = S.DRAFT
    for trigger, actor, expected in NORMAL_LIFE:
        state = advance(state, trigger, actor)
        assert state is expected


def test_the_reconnect_window_ends_the_event() -> None:
    assert advance(S.RECONNECTING, T.PROGRAM_ENDED, A.MEDIA_NODE) is S.ENDED


@pytest.mark.parametrize("state", [S.SCHEDULED, S.LOBBY, S.LIVE, S.RECONNECTING])
def test_the_clock_ends_whatever_has_not_ended(state: EventState) -> None:
    assert advance(state, T.EXPIRE, A.CLOCK) is S.ENDED


def test_a_start_that_is_moved_closes_the_lobby() -> None:
    assert advance(S.LOBBY, T.RESCHEDULE, A.API) is S.SCHEDULED


@pytest.mark.parametrize("trigger", [T.PUBLISHER_LOST, T.PROGRAM_LIVE, T.PROGRAM_ENDED])
@pytest.mark.parametrize("state", [S.ENDED, S.ARCHIVED])
def test_late_facts_of_a_node_change_nothing(state: EventState, trigger: Trigger) -> None:
    assert advance(state, trigger, A.MEDIA_NODE) is state


@pytest.mark.parametrize(
    ("state", "trigger"),
    [pair for s in S for t in T if (pair := (s, t)) not in TRANSITIONS],
)
def test_everything_else_is_illegal_and_says_what_is_legal(
    state: EventState, trigger: Trigger
) -> None:
    with pytest.raises(IllegalTransition) as caught:
        advance(state, trigger, somebody(trigger))
    assert not isinstance(caught.value, ActorRefused)
    legal = [t.value for s, t in TRANSITIONS if s is state]
    assert all(word in str(caught.value) for word in legal or ["nothing"])


@pytest.mark.parametrize(("trigger", "actor"), [(t, a) for t in T for a in A if a not in ACTORS[t]])
def test_whoever_may_not_is_refused_in_every_state(trigger: Trigger, actor: Actor) -> None:
    for state in S:
        with pytest.raises(ActorRefused) as caught:
            advance(state, trigger, actor)
        assert all(may in str(caught.value) for may in ACTORS[trigger])


def test_every_trigger_has_an_actor_and_an_edge() -> None:
    assert set(ACTORS) == set(T) == {trigger for _, trigger in TRANSITIONS}
    assert all(ACTORS.values())


@pytest.mark.parametrize("trigger", [T.SCHEDULE, T.END, T.CANCEL])
def test_only_the_api_does_what_organisers_ask_for(trigger: Trigger) -> None:
    assert ACTORS[trigger] == {A.API}


def test_nothing_leaves_a_cancelled_event() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is S.CANCELLED]
