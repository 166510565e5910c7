"""What is said over the bus: strict about what comes in, and bounded."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.events.captions import MOST_BYTES, HeardCue, HeardWindow, encoded, parse

NOW = 1_700_000_000_000
WINDOW = HeardWindow(
    project="acme",
    event="ev_1",
    feed="main",
    incarnation="lx4k2a",
    language="en",
    from_ms=NOW,
    until_ms=NOW + 10_000,
    cues=(
        HeardCue(NOW, NOW + 1_500, "He was not an ill-disposed\nyoung man,"),
        HeardCue(NOW + 1_500, NOW + 10_000, "<unless> to be rather cold-hearted & selfish"),
    ),
)


def message(**changes: Any) -> str:
    return json.dumps({**asdict(WINDOW), **changes})


def cue(**changes: Any) -> dict[str, Any]:
    return {**asdict(WINDOW.cues[0]), **changes}


def test_what_is_told_is_what_is_heard() -> None:
    assert parse(encoded(WINDOW)) == WINDOW
    persian = HeardCue(NOW, NOW + 9, "نمی\u200cدانم\u00a0?")
    assert parse(encoded(replace(WINDOW, cues=(persian,)))) == replace(WINDOW, cues=(persian,))
    silence = replace(WINDOW, cues=(), language="")
    assert parse(encoded(silence).decode()) == silence


def test_a_later_sender_may_say_more() -> None:
    assert parse(message(model="large")) == WINDOW


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "Acme!"},
        {"event": ""},
        {"feed": "a/b"},
        {"incarnation": "../x"},
        {"language": "e n"},
        {"language": "en-"},
        {"language": "e" * 36},
        {"from_ms": -1},
        {"from_ms": str(NOW)},
        {"from_ms": NOW + 0.5},
        {"until_ms": NOW},
        {"until_ms": NOW + 200_000},
        {"cues": None},
        {"cues": [cue()] * 2},
        {"cues": [cue(start_ms=NOW - 1)]},
        {"cues": [cue(end_ms=NOW + 10_001)]},
        {"cues": [cue(end_ms=NOW)]},
        {"cues": [cue(text=" \n")]},
        {"cues": [cue(text="a" * 1_001)]},
        {"cues": [cue(text="a\x07")]},
        {"cues": [cue(text="a\r\n")]},
        {"cues": [cue(text=7)]},
        {"cues": [cue(start_ms=NOW + n, end_ms=NOW + n + 1) for n in range(201)]},
    ],
    ids=str,
)
def test_a_window_that_breaks_a_rule_is_not_heard(changes: dict[str, Any]) -> None:
    assert parse(message(**changes)) is None


def test_a_window_that_breaks_a_rule_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="no window lasts"):
        replace(WINDOW, until_ms=NOW)
    with pytest.raises(ValueError, match="cues overlap"):
        replace(WINDOW, cues=WINDOW.cues[::-1])


@pytest.mark.parametrize("raw", ["", "{}", "[]", "null", b"\xff", "x" * (MOST_BYTES + 1)])
def test_noise_is_not_heard(raw: str | bytes) -> None:
    assert parse(raw) is None


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3)))
def test_nothing_raises(value: Any) -> None:
    for field in asdict(WINDOW):
        parsed = parse(message(**{field: value}))
        assert parsed is None or isinstance(parsed, HeardWindow)
