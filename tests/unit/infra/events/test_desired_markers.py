"""Markers in the desired state: records of before have none, and both ways to disk keep them."""

import json
from typing import Any

from infra.events.desired import DesiredEvent, DesiredMarker
from infra.events.desired_state import DesiredSnapshot, parse

MARKER = DesiredMarker(
    id="mk_1",
    kind="poll",
    title="Who?",
    start_ms=1_900_000_000_000,
    data={"name": "x", "whole": 3, "share": 0.5},
)


def event(**more: Any) -> DesiredEvent:
    return DesiredEvent(
        **{
            "id": "ev_1",
            "project": "acme",
            "revision": 1,
            "open": True,
            "access": "public",
            "kid": "k1",
            "generation": 1,
            "takeover": False,
            **more,
        }
    )


def test_a_record_of_before_there_were_markers_has_none() -> None:
    old = event().model_dump(mode="json")
    del old["markers"]
    read = parse("event:ev_1", json.dumps(old))
    assert isinstance(read, DesiredEvent)
    assert read.markers == ()


def test_markers_travel_with_their_types() -> None:
    read = parse("event:ev_1", event(markers=(MARKER,)).model_dump_json())
    assert isinstance(read, DesiredEvent)
    (marker,) = read.markers
    assert marker == MARKER
    assert [type(value) for value in marker.data.values()] == [str, int, float]


def test_what_a_later_release_adds_is_passed_over() -> None:
    later = event(markers=(MARKER,)).model_dump(mode="json")
    later["markers"][0]["colour"] = "red"
    read = parse("event:ev_1", json.dumps(later))
    assert isinstance(read, DesiredEvent)
    assert read.markers == (MARKER,)


def test_markers_survive_the_disk() -> None:
    held = DesiredSnapshot(epoch="e", events={"ev_1": event(markers=(MARKER,))})
    assert DesiredSnapshot.model_validate_json(held.model_dump_json()) == held
