"""Which marker the watch page shows when, and what it makes of a date range: run by Node."""

from typing import Any

from tests.support.node import evaluate

MARKER = (
    "const marker = (id, start_ms, more) => ({ id, kind: 'poll', start_ms, data: {}, ...more });"
)


def shown(received: str, times: list[int]) -> list[str | None]:
    """The ids that are shown at each of these times, one after the other."""
    ids: list[str | None] = evaluate(
        "moments.js",
        f"{MARKER} const moments = new module.Moments();"
        f"for (const one of [{received}]) moments.receive(one);"
        f"return {times}.map((at) => moments.shown(at)?.id ?? null);",
    )
    return ids


def test_a_marker_is_shown_when_the_picture_reaches_it_and_for_a_while() -> None:
    assert shown("marker('a', 5000)", [4999, 5100, 13_000, 13_100]) == [None, "a", "a", None]


def test_a_viewer_that_comes_late_sees_what_is_open_and_not_what_is_over() -> None:
    over = "marker('over', 1000, { end_ms: 2000 })"
    assert shown(over, [60_000]) == [None]
    assert shown(f"{over}, marker('open', 500)", [60_000, 70_000]) == ["open", None]


def test_the_latest_of_several_is_shown() -> None:
    both = "marker('b', 2000), marker('a', 1000)"
    assert shown(both, [1500, 2500, 9600]) == ["a", "b", "b"]


def test_an_end_does_not_show_a_marker_again() -> None:
    told = evaluate(
        "moments.js",
        f"{MARKER} const moments = new module.Moments();"
        "moments.receive(marker('a', 1000)); const first = moments.shown(1000)?.id;"
        "moments.receive(marker('a', 1000, { end_ms: 20000 }));"
        "return [first, moments.shown(20000)];",
    )
    assert told == ["a", None]


def test_what_is_no_marker_is_passed_over() -> None:
    assert shown("{}, null, { id: 'x' }, { id: 3, start_ms: 1 }", [5]) == [None]


def from_range(text: str) -> Any:
    return evaluate("moments.js", f"return module.fromDateRange({text});")


def test_a_date_range_of_ours_is_a_marker() -> None:
    assert from_range(
        """{
          id: "mk_1", class: "com.livepath.product-drop",
          startDate: new Date(1000), endDate: new Date(2500),
          attr: { ID: "mk_1", "X-COM-LIVEPATH-TITLE": "New", "X-COM-LIVEPATH-PRODUCT-ID": "7" },
        }"""
    ) == {
        "id": "mk_1",
        "kind": "product-drop",
        "title": "New",
        "start_ms": 1000,
        "end_ms": 2500,
        "data": {"product_id": "7"},
    }


def test_any_other_date_range_is_none() -> None:
    assert from_range('{ id: "ad", class: "com.example.ad", startDate: new Date(0) }') is None
    assert from_range('{ id: "ad", startDate: new Date(0) }') is None


def test_every_kind_has_a_word() -> None:
    words = evaluate("moments.js", "return ['poll', 'product-drop', ''].map(module.kindWord);")
    assert words == ["Poll", "Product drop", ""]
