"""Which node players are led to."""

from infra.control.nodes import address_of
from infra.events.nodes import NodePresence, ProgrammePresence

KEY = "default/ev_one/main"


def node(name: str, *, live: bool = True, since_ms: int = 0, **more: object) -> NodePresence:
    carried = ProgrammePresence(key=KEY, live=live, since_ms=since_ms)
    given = {"node": name, "boot": "1", "url": f"https://{name}", "programmes": (carried,)}
    return NodePresence.model_validate(given | more)


def test_nobody_has_it() -> None:
    assert address_of(KEY, []) is None
    assert address_of(KEY, [node("a", programmes=())]) is None


def test_a_node_without_an_address_is_not_led_to() -> None:
    assert address_of(KEY, [node("a", url="")]) is None
    assert address_of(KEY, [node("a", url=""), node("b", live=False)]) == "https://b"


def test_live_comes_before_waiting_and_staying_before_drained() -> None:
    assert address_of(KEY, [node("a", live=False), node("b", draining=True)]) == "https://b"
    assert address_of(KEY, [node("a", draining=True), node("b")]) == "https://b"
    assert address_of(KEY, [node("a", draining=True)]) == "https://a"


def test_who_has_had_it_longest_keeps_its_players() -> None:
    both = [node("a", since_ms=2_000), node("b", since_ms=1_000)]
    assert address_of(KEY, both) == address_of(KEY, both[::-1]) == "https://b"
