"""EXT-X-DATERANGE: draft-pantos-hls-rfc8216bis 4.4.5.1, and 4.2 for how values are written."""

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls.daterange import DateRange, DateRangeError, render
from tests.support import m3u8

START_NS = 1_790_000_000_000_000_000
S = 1_000_000_000
NAME = "#EXT-X-DATERANGE:"


def read(one: DateRange) -> Mapping[str, str]:
    line = render(one)
    assert line.startswith(NAME)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    return m3u8.attributes(line[len(NAME) : -1])


def test_everything_that_a_date_range_says_is_in_its_line() -> None:
    found = read(
        DateRange(
            "poll-7",
            START_NS,
            class_="com.example.poll",
            end_ns=START_NS + 30 * S,
            duration_us=30_000_000,
            planned_duration_us=25_500_000,
            attributes={"X-COM-EXAMPLE-QUESTION": "Tea, or = coffee?", "X-A": ""},
        )
    )
    assert found == {
        "ID": "poll-7",
        "CLASS": "com.example.poll",
        "START-DATE": "2026-09-21T14:13:20.000Z",
        "END-DATE": "2026-09-21T14:13:50.000Z",
        "DURATION": "30.000000",
        "PLANNED-DURATION": "25.500000",
        "X-A": "",
        "X-COM-EXAMPLE-QUESTION": "Tea, or = coffee?",
    }


def test_a_moment_needs_an_id_and_a_start_only() -> None:
    assert set(read(DateRange("goal", START_NS))) == {"ID", "START-DATE"}
    assert read(DateRange("goal", START_NS, duration_us=0))["DURATION"] == "0.000000"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id": ""}, "ID is empty"),
        ({"id": 'a"b'}, "ID"),
        ({"id": "a\tb"}, "ID"),
        ({"id": "a\n#EXT-X-ENDLIST"}, "ID"),
        ({"class_": "a\rb"}, "CLASS"),
        ({"class_": "\u2028"}, "CLASS"),
        ({"attributes": {"X-URL": 'https://a/"'}}, "X-URL"),
        ({"attributes": {"X-URL": "\x00"}}, "X-URL"),
        ({"attributes": {"x-url": "a"}}, "x-url"),
        ({"attributes": {"X-": "a"}}, "X-"),
        ({"attributes": {"DURATION": "a"}}, "DURATION"),
        ({"attributes": {"X-A=1,X-B": "a"}}, "X-A=1,X-B"),
        ({"attributes": {"X-A\n": "a"}}, "X-A"),
        ({"duration_us": -1}, "DURATION is negative"),
        ({"planned_duration_us": -1}, "PLANNED-DURATION is negative"),
        ({"end_ns": START_NS - 1}, "END-DATE is before START-DATE"),
        ({"end_ns": START_NS + S, "duration_us": 2_000_000}, "END-DATE is not START-DATE"),
        ({"start_ns": -1}, "START-DATE"),
        ({"start_ns": 10**21}, "START-DATE"),
        ({"end_ns": 10**21}, "END-DATE"),
    ],
)
def test_what_no_player_could_read_is_refused(changes: dict[str, Any], named: str) -> None:
    values: dict[str, Any] = {"id": "a", "start_ns": START_NS, **changes}
    with pytest.raises(DateRangeError, match=named):
        DateRange(**values)


@pytest.mark.parametrize(
    ("one", "over_ns"),
    [
        (DateRange("a", START_NS), START_NS),
        (DateRange("a", START_NS, planned_duration_us=5_000_000), START_NS + 5 * S),
        (
            DateRange("a", START_NS, duration_us=2_000_000, planned_duration_us=5_000_000),
            START_NS + 2 * S,
        ),
        (DateRange("a", START_NS, end_ns=START_NS + 7 * S), START_NS + 7 * S),
    ],
)
def test_when_it_is_over(one: DateRange, over_ns: int) -> None:
    assert one.over_ns == over_ns


def test_a_later_tag_of_the_same_id_adds_attributes() -> None:
    first = DateRange("ad", START_NS, planned_duration_us=30_000_000, attributes={"X-A": "1"})
    both = first.augmented(
        DateRange("ad", START_NS, class_="ads", duration_us=28_000_000, attributes={"X-B": "2"})
    )
    assert both == DateRange(
        "ad",
        START_NS,
        class_="ads",
        duration_us=28_000_000,
        planned_duration_us=30_000_000,
        attributes={"X-A": "1", "X-B": "2"},
    )
    assert both.augmented(first) == both


@pytest.mark.parametrize(
    "other",
    [
        DateRange("ad", START_NS + S),
        DateRange("ad", START_NS, class_="other"),
        DateRange("ad", START_NS, end_ns=START_NS + 9 * S),
        DateRange("ad", START_NS, duration_us=9_000_000),
        DateRange("ad", START_NS, planned_duration_us=1),
        DateRange("ad", START_NS, attributes={"X-A": "2"}),
    ],
)
def test_a_later_tag_of_the_same_id_changes_nothing(other: DateRange) -> None:
    first = DateRange(
        "ad",
        START_NS,
        class_="ads",
        end_ns=START_NS + 2 * S,
        duration_us=2_000_000,
        planned_duration_us=3_000_000,
        attributes={"X-A": "1"},
    )
    with pytest.raises(DateRangeError, match="'ad'"):
        first.augmented(other)


@given(
    id=st.text(),
    class_=st.none() | st.text(),
    start_ns=st.integers(-(10**18), 3 * 10**20),
    duration_us=st.none() | st.integers(-5, 10**14),
    attributes=st.dictionaries(st.text(max_size=5).map("X-".__add__), st.text(), max_size=3),
)
def test_what_can_be_made_reads_back(
    id: str,
    class_: str | None,
    start_ns: int,
    duration_us: int | None,
    attributes: dict[str, str],
) -> None:
    try:
        one = DateRange(id, start_ns, class_, duration_us=duration_us, attributes=attributes)
    except DateRangeError:
        return
    found = read(one)
    assert found["ID"] == id
    assert found.get("CLASS") == class_
    began = datetime.fromisoformat(found["START-DATE"]).timestamp()
    assert abs(began - start_ns / 1e9) < 0.002
    if duration_us is not None:
        assert Fraction(found["DURATION"]) == Fraction(duration_us, 1_000_000)
    assert {name: found[name] for name in attributes} == attributes
