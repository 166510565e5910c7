"""Markers over real control channels: who listens hears at once, who comes late is reminded."""

import time
from typing import Any

import pytest

from infra.events.desired import DesiredMarker
from infra.keys import ProgramKey
from tests.support.control_channel import listening
from tests.support.fanout import KEY, Plane, watching

pytestmark = pytest.mark.integration


def marker(name: str, **more: Any) -> DesiredMarker:
    return DesiredMarker(**{"id": name, "kind": "poll", "start_ms": now_ms(), **more})


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_listeners_of_the_programme_hear_of_a_marker_and_of_its_end(plane: Plane) -> None:
    plane.open()
    other = ProgramKey("acme", "ev_2")
    plane.open(other)
    async with (
        watching(plane) as viewer,
        listening(plane, viewer) as heard,
        watching(plane, f"{plane.url}/live/{other}/whep") as stranger,
        listening(plane, stranger) as elsewhere,
    ):
        one = marker("mk_1", title="Who?", data={"options": 3})
        plane.service.set_markers(KEY, [one])
        plane.service.set_markers(KEY, [one])
        told = {"id": "mk_1", "kind": "poll", "title": "Who?", "start_ms": one.start_ms}
        assert await heard.get() == ("marker", {**told, "data": {"options": 3}})
        ended = one.model_copy(update={"end_ms": one.start_ms + 9})
        plane.service.set_markers(KEY, [ended])
        end = {"end_ms": one.start_ms + 9, "data": {"options": 3}}
        assert await heard.get() == ("marker", {**told, **end})
        plane.service.drain("maintenance")
        assert (await elsewhere.get() or ("",))[0] == "drain"


async def test_a_viewer_that_comes_late_is_told_what_is_still_open(plane: Plane) -> None:
    plane.open()
    plane.service.set_markers(KEY, [marker("mk_old", start_ms=1, end_ms=2), marker("mk_open")])
    async with watching(plane) as viewer:
        # Known before its channel has a reader, and told once all the same.
        plane.service.set_markers(KEY, [marker("mk_open"), marker("mk_new")])
        async with listening(plane, viewer) as heard:
            plane.service.drain("maintenance")
            events = [await heard.get() for _ in range(3)]
    said = [event[1].get("id", event[0]) for event in events if event is not None]
    assert said == ["mk_open", "mk_new", "drain"]


async def test_markers_outlive_an_incarnation_but_not_the_programme(plane: Plane) -> None:
    plane.open()
    plane.service.set_markers(KEY, [marker("mk_1")])
    plane.open()
    assert [event.data["id"] for event in plane.service.reminders(KEY)] == ["mk_1"]
    plane.service.close(KEY)
    assert plane.service.reminders(KEY) == []
    plane.service.set_markers(KEY, [marker("mk_2")])
    assert plane.service.reminders(KEY) == []
