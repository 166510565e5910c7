"""Markers as viewers are told of them: each once, its end once more, and the rest on arrival."""

from typing import Any

from hotpath.fanout.markers import MOST_RECALLED, RECALLED_MS, Markers
from infra.events.desired import DesiredMarker

NOW = 1_900_000_000_000


def marker(name: str, **more: Any) -> DesiredMarker:
    return DesiredMarker(**{"id": name, "kind": "poll", "start_ms": NOW, **more})


def names(told: list[Any]) -> list[str]:
    return [str(data["id"]) for data in told]


def test_a_marker_is_news_once() -> None:
    markers, one, two = Markers(), marker("mk_1"), marker("mk_2")
    assert names(markers.receive([one])) == ["mk_1"]
    assert names(markers.receive([one, two])) == ["mk_2"]
    assert markers.receive([one, two]) == []


def test_a_marker_that_was_away_is_no_news_but_its_end_is() -> None:
    markers, one, two = Markers(), marker("mk_1"), marker("mk_2")
    markers.receive([one, two])
    assert markers.receive([two]) == []
    assert names(markers.recalled(NOW)) == ["mk_2"]
    assert markers.receive([one, two]) == []
    markers.receive([two])
    assert names(markers.receive([marker("mk_1", end_ms=NOW), two])) == ["mk_1"]


def test_an_end_is_news_of_a_marker_that_is_known() -> None:
    markers = Markers()
    markers.receive([marker("mk_1", title="Who?", data={"n": 3})])
    ended = marker("mk_1", title="Who?", data={"n": 3}, end_ms=NOW + 5)
    assert markers.receive([ended]) == [
        {
            "id": "mk_1",
            "kind": "poll",
            "title": "Who?",
            "start_ms": NOW,
            "end_ms": NOW + 5,
            "data": {"n": 3},
        }
    ]


def test_what_is_not_known_is_not_told() -> None:
    assert Markers().receive([marker("mk_1")]) == [
        {"id": "mk_1", "kind": "poll", "start_ms": NOW, "data": {}}
    ]


def test_who_comes_late_is_told_what_is_open_or_was_over_a_moment_ago() -> None:
    markers = Markers()
    markers.receive(
        [
            marker("mk_open", start_ms=NOW - 10 * RECALLED_MS),
            marker("mk_over", end_ms=NOW - RECALLED_MS),
            marker("mk_just_over", end_ms=NOW - RECALLED_MS + 1),
            marker("mk_to_come", start_ms=NOW + 1000, end_ms=NOW + 2000),
        ]
    )
    assert names(markers.recalled(NOW)) == ["mk_open", "mk_just_over", "mk_to_come"]


def test_who_comes_late_is_told_the_newest_alone() -> None:
    markers = Markers()
    markers.receive([marker(f"mk_{n}") for n in range(MOST_RECALLED + 3)])
    assert names(markers.recalled(NOW)) == [f"mk_{n}" for n in range(3, MOST_RECALLED + 3)]


def test_what_control_no_longer_sends_is_forgotten() -> None:
    markers = Markers()
    markers.receive([marker("mk_1")])
    assert markers.receive([]) == []
    assert markers.recalled(NOW) == []
