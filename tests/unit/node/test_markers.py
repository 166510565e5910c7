"""Markers become date ranges that every playlist can carry."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hotpath.hls.daterange import render
from hotpath.node.markers import date_range
from infra.control.marker_schemas import MarkerCreate, end_ms_of, milliseconds
from infra.events.desired import DesiredMarker

START_MS = 1_900_000_000_250


def marker(**more: Any) -> DesiredMarker:
    return DesiredMarker(**{"id": "mk_1", "kind": "poll", "start_ms": START_MS, **more})


def test_a_marker_whose_end_is_open() -> None:
    assert render(date_range(marker())) == (
        '#EXT-X-DATERANGE:ID="mk_1",CLASS="com.livepath.poll",'
        'START-DATE="2030-03-17T17:46:40.250Z"\n'
    )


def test_its_end_is_exact() -> None:
    made = date_range(marker(end_ms=START_MS + 1500))
    assert made.end_ns == (START_MS + 1500) * 1_000_000
    assert 'END-DATE="2030-03-17T17:46:41.750Z"' in render(made)


def test_its_title_and_data_are_client_attributes() -> None:
    made = date_range(
        marker(title="Who?", data={"poll_id": "p_1", "options": 3, "price": 19.9, "big": 2**53})
    )
    assert made.attributes == {
        "X-COM-LIVEPATH-TITLE": "Who?",
        "X-COM-LIVEPATH-POLL-ID": "p_1",
        "X-COM-LIVEPATH-OPTIONS": "3",
        "X-COM-LIVEPATH-PRICE": "19.9",
        "X-COM-LIVEPATH-BIG": "9007199254740992",
    }


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ('Say "yes"', "Say 'yes'"),
        ("a\u00a0b\u2028c", "a b c"),
        ("wi\u200dth\u00ad", "with"),
        ("\U0001f3c6 Ünïcode, =", "\U0001f3c6 Ünïcode, ="),
    ],
)
def test_what_cannot_be_quoted_is_replaced(title: str, shown: str) -> None:
    made = date_range(marker(title=title))
    assert made.attributes["X-COM-LIVEPATH-TITLE"] == shown
    assert f'"{shown}"' in render(made)


@given(
    kind=st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True),
    title=st.none() | st.text(min_size=1, max_size=120),
    start=st.datetimes(timezones=st.timezones()),
    duration_s=st.none() | st.floats(0, 7 * 86400),
    data=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True),
        st.text() | st.integers() | st.floats(),
        max_size=10,
    ),
)
def test_whatever_the_api_takes_is_one_line_of_a_playlist(**body: Any) -> None:
    try:
        taken = MarkerCreate.model_validate(body)
    except ValidationError:
        return
    assert taken.start is not None
    start_ms = milliseconds(taken.start)
    line = render(
        date_range(
            marker(
                kind=taken.kind,
                title=taken.title,
                start_ms=start_ms,
                end_ms=end_ms_of(taken, start_ms),
                data=taken.data,
            )
        )
    )
    assert line.startswith('#EXT-X-DATERANGE:ID="mk_1",CLASS="com.livepath.')
    assert len(line.splitlines()) == 1
