"""When viewers are asked to go to which node, and when a programme is another node's."""

from collections.abc import Sequence

import pytest

from hotpath.node.draining import (
    AGAIN_NS,
    ALONE_NS,
    ANNOUNCED_NS,
    GIVE_UP_NS,
    PER_S,
    SECOND,
    Decision,
    Draining,
    GiveUp,
    Held,
    MoveViewer,
    SendPublishersAway,
    SendToHls,
)
from infra.events.nodes import NodePresence, NodeWish, ProgrammePresence, Publishers

KEY = "acme/ev_one/main"
NOW = 1_000 * SECOND
LIVE = Held(KEY, True, ("s1", "s2"))
LEFT = Held(KEY, False, ("s1", "s2"))
LATE = 30 * SECOND


def other(name: str = "b", *, live: bool = True, **changes: object) -> NodePresence:
    given: dict[str, object] = {
        "node": name,
        "boot": "1",
        "url": f"https://{name}.example",
        "programmes": (ProgrammePresence(key=KEY, live=live),),
    }
    return NodePresence.model_validate(given | changes)


def drained(publishers: Publishers = "stay") -> Draining:
    node = Draining("boot")
    node.receive_wish(NodeWish(boot="boot", drain=True, publishers=publishers), NOW)
    return node


def moved(decided: Sequence[Decision]) -> list[tuple[str, str]]:
    return [(one.session, one.url) for one in decided if isinstance(one, MoveViewer)]


def test_nothing_is_wanted_and_nothing_happens() -> None:
    assert Draining("boot").poll([LIVE], [other()], NOW) == []


def test_a_drain_asks_viewers_to_go_where_their_programme_is_live_and_once() -> None:
    node = drained()
    others = [other("b", viewers=7), other("c", viewers=3), other("d", live=False)]
    asked = node.poll([LIVE], others, NOW)
    assert moved(asked) == [("s1", "https://c.example"), ("s2", "https://c.example")]
    assert len(asked) == 2
    assert node.poll([LIVE], others, NOW + SECOND) == []


@pytest.mark.parametrize(
    "elsewhere", [[], [other(live=False)], [other(draining=True)], [other(url="")]]
)
def test_without_another_node_viewers_stay_for_a_while_and_go_on_by_hls(
    elsewhere: list[NodePresence],
) -> None:
    node = drained()
    assert node.poll([LIVE], elsewhere, NOW + LATE - 1) == []
    decided = node.poll([LIVE], elsewhere, NOW + LATE)
    assert decided == [SendToHls("s1"), SendToHls("s2")]


def test_who_does_not_go_is_asked_again_and_is_then_sent_to_hls() -> None:
    node = drained()
    assert len(node.poll([LIVE], [other()], NOW)) == 2
    stays = Held(KEY, True, ("s2",))
    assert moved(node.poll([stays], [other()], NOW + AGAIN_NS)) == [("s2", "https://b.example")]
    assert node.poll([stays], [other()], NOW + LATE) == []
    assert node.poll([stays], [other()], NOW + 2 * AGAIN_NS) == [SendToHls("s2")]


def test_a_crowd_goes_little_by_little() -> None:
    crowd = [f"s{number}" for number in range(PER_S * 2 + 1)]
    node, seconds = drained(), []
    for second in range(4):
        seconds.append(moved(node.poll([Held(KEY, True, crowd)], [other()], NOW + second * SECOND)))
    assert [len(one) for one in seconds] == [PER_S, PER_S, 1, 0]
    assert [session for one in seconds for session, _ in one] == crowd


def test_publishers_are_sent_away_only_when_others_know_that_they_come() -> None:
    node = drained("move")
    assert node.poll([LIVE], [], NOW) == []
    assert node.poll([LIVE], [], NOW + ANNOUNCED_NS) == [SendPublishersAway()]
    assert drained().poll([LIVE], [], NOW + ANNOUNCED_NS) == []


def test_a_programme_whose_publisher_went_to_another_node_belongs_there() -> None:
    node = Draining("boot")
    assert len(moved(node.poll([LEFT], [other()], NOW))) == 2
    left = NOW + SECOND
    assert node.poll([Held(KEY, False)], [other()], left) == []
    assert node.poll([Held(KEY, False)], [other()], NOW + ALONE_NS) == [GiveUp(KEY)]


def test_a_publisher_may_come_back_before_its_programme_is_given_up() -> None:
    node = Draining("boot")
    for at in (NOW, NOW + ALONE_NS - 1):
        assert node.poll([Held(KEY, False)], [other()], at) == []
    assert node.poll([Held(KEY, True)], [other()], NOW + ALONE_NS) == []
    assert node.poll([Held(KEY, False)], [other()], NOW + ALONE_NS + 1) == []


def test_a_programme_that_would_end_soon_is_given_up_sooner() -> None:
    node, short = Draining("boot"), Held(KEY, False, ("s1",), window_ns=4 * SECOND)
    assert GiveUp(KEY) not in node.poll([short], [other()], NOW)
    assert GiveUp(KEY) in node.poll([short], [other()], NOW + 2 * SECOND)


def test_viewers_who_do_not_follow_their_programme_are_let_go_with_it() -> None:
    node = Draining("boot")
    assert GiveUp(KEY) not in node.poll([LEFT], [other()], NOW)
    assert GiveUp(KEY) not in node.poll([LEFT], [other()], NOW + GIVE_UP_NS - 1)
    assert GiveUp(KEY) in node.poll([LEFT], [other()], NOW + GIVE_UP_NS)


def test_also_a_node_without_an_address_has_what_is_live_there() -> None:
    node, nowhere = Draining("boot"), [other(url="")]
    assert node.poll([Held(KEY, False)], nowhere, NOW) == []
    assert node.poll([Held(KEY, False)], nowhere, NOW + ALONE_NS) == [GiveUp(KEY)]


@pytest.mark.parametrize(
    ("mine", "theirs"), [(True, True), (False, False)], ids=["live on both", "live on neither"]
)
def test_nothing_is_given_up_without_need(mine: bool, theirs: bool) -> None:
    node = Draining("boot")
    for at in (NOW, NOW + GIVE_UP_NS):
        assert node.poll([Held(KEY, mine)], [other(live=theirs)], at) == []


def test_a_wish_is_for_one_life_and_nothing_but_another_one_takes_it_back() -> None:
    node = Draining("boot")
    node.receive_wish(NodeWish(boot="before", drain=True), NOW)
    assert not node.drains
    node.receive_wish(NodeWish(boot="boot", drain=True, publishers="move"), NOW)
    assert (node.drains, node.moves_publishers) == (True, True)
    node.receive_wish(None, NOW)
    assert node.drains
    node.receive_wish(NodeWish(boot="boot", drain=False, publishers="move"), NOW)
    assert (node.drains, node.moves_publishers) == (False, False)


def test_a_drain_that_is_wanted_otherwise_goes_on_counting() -> None:
    node = drained()
    node.receive_wish(NodeWish(boot="boot", drain=True, hls_after_s=60), NOW + LATE)
    assert node.poll([LIVE], [], NOW + LATE) == []
    assert len(node.poll([LIVE], [], NOW + 2 * LATE)) == 2


def test_a_drain_after_an_undrain_begins_anew() -> None:
    node = drained()
    node.poll([LIVE], [other()], NOW)
    node.receive_wish(NodeWish(boot="boot", drain=False), NOW + SECOND)
    node.receive_wish(NodeWish(boot="boot", drain=True), NOW + LATE)
    assert len(moved(node.poll([LIVE], [other()], NOW + LATE))) == 2
