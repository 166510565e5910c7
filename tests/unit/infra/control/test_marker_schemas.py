"""What a marker may hold: small, exact, and nothing that a playlist or player could not take."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from infra.control.marker_schemas import (
    MAX_DATA_BYTES,
    MarkerCreate,
    MarkerPatch,
    end_ms_of,
    milliseconds,
)

POLL = {"kind": "poll"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "kind"),
        ({"kind": "Poll"}, "kind"),
        ({"kind": "p" * 33}, "kind"),
        ({**POLL, "title": "x" * 121}, "title"),
        ({**POLL, "title": "a\nb"}, "title"),
        ({**POLL, "start": "2030-03-17T18:00:00"}, "start"),
        ({**POLL, "duration_s": -1}, "duration_s"),
        ({**POLL, "end": "2030-03-17T18:00:00Z", "duration_s": 1}, ""),
        ({**POLL, "start": "2030-01-02T00:00:00Z", "end": "2030-01-01T00:00:00Z"}, ""),
        ({**POLL, "data": {"Upper": 1}}, "data.Upper.[key]"),
        ({**POLL, "data": {"title": "x"}}, "data"),
        ({**POLL, "data": {"flag": True}}, "data.flag"),
        ({**POLL, "data": {"list": [1]}}, "data.list"),
        ({**POLL, "data": {"none": None}}, "data.none"),
        ({**POLL, "data": {"big": 2**53 + 1}}, "data.big"),
        ({**POLL, "data": {"line": "a\u0000b"}}, "data.line"),
        ({**POLL, "data": {"long": "é" * 260}}, "data"),
        ({**POLL, "data": {f"n{n}": n for n in range(11)}}, "data"),
        ({**POLL, "colour": "red"}, "colour"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(body: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MarkerCreate.model_validate_json(json.dumps(body))
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [where]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_json_has_no_word_for_is_refused(number: str) -> None:
    with pytest.raises(ValidationError):
        MarkerCreate.model_validate_json(f'{{"kind": "poll", "data": {{"n": {number}}}}}')


def test_values_keep_their_types_up_to_the_last_byte() -> None:
    data = {"whole": -(2**53), "share": 1.0, "text": ""}
    data["text"] = "x" * (MAX_DATA_BYTES - len(json.dumps(data, separators=(",", ":"))))
    read = MarkerCreate.model_validate_json(json.dumps({**POLL, "data": data}))
    assert read.data == data
    assert [type(value) for value in read.data.values()] == [int, float, str]


def test_where_a_marker_ends() -> None:
    assert end_ms_of(MarkerCreate(kind="poll"), 1000) is None
    assert end_ms_of(MarkerCreate(kind="poll", duration_s=0.0015), 1000) == 1002
    at = MarkerCreate.model_validate({**POLL, "end": "2030-01-01T00:00:00+01:00"})
    assert end_ms_of(at, 1000) == 1_893_452_400_000


def test_an_end_is_a_time_or_now() -> None:
    given = MarkerPatch.model_validate({"end": "2030-01-01T00:00:00Z"}).end
    assert given is not None
    assert milliseconds(given) == 1_893_456_000_000
    assert MarkerPatch.model_validate({"end": "now"}).end is None
    for unusable in (None, "soon", "2030-01-01T00:00:00"):
        with pytest.raises(ValidationError):
            MarkerPatch.model_validate({"end": unusable})
