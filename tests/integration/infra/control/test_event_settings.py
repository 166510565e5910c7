"""What an event is told once, in one place: times, zone, latency, functions, labels, metadata."""

from typing import Any

import httpx2
import pytest

from infra.db.jobs import Function
from infra.jobs.clip_request import INSTANT
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.rows import add_functions, advance

pytestmark = pytest.mark.integration
START, END = "2030-06-01T20:00:00+02:00", "2030-06-01T19:30:00Z"

UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"starts_at": START, "ends_at": "2030-06-01T18:00:00Z"}, "later than starts_at"),
    ({"ends_at": "2030-06-01T18:00:00"}, "body.ends_at"),
    ({"time_zone": "Mars/Olympus"}, "no IANA time zone"),
    ({"time_zone": "../../etc/passwd"}, "no IANA time zone"),
    ({"time_zone": "Europe"}, "no IANA time zone"),
    ({"auto_start": "at_time"}, "needs starts_at"),
    ({"auto_end": True}, "needs ends_at"),
    ({"recording": False, "dvr_window_s": 60}, "needs the recording"),
    ({"labels": {"Team": "x"}}, "body.labels.Team"),
    ({"labels": {"a": ""}}, "body.labels.a"),
    ({"labels": {"a": "x" * 129}}, "body.labels.a"),
    ({"labels": {f"l{n}": "x" for n in range(33)}}, "body.labels"),
    ({"metadata": {"x": "y" * 8_192}}, "8192 are allowed"),
    ({"metadata": {"x": "\0"}}, "NUL"),
    ({"metadata": [1]}, "body.metadata"),
    ({"cold_functions": ["archive", "archive"]}, "named twice"),
    ({"latency": "none"}, "body.latency"),
    ({"lobby_opens_s": -1}, "body.lobby_opens_s"),
]
UNFITTING: list[tuple[dict[str, Any], str]] = [
    ({"ends_at": "2030-06-01T17:00:00Z"}, "later than starts_at"),
    ({"starts_at": "2030-06-01T19:30:00Z"}, "later than starts_at"),
    ({"starts_at": None}, "needs starts_at"),
    ({"ends_at": None}, "needs ends_at"),
    ({"recording": False}, "needs the recording"),
    ({"recording": None}, "recording cannot be null"),
    ({"labels": None}, "labels cannot be null"),
]


async def create(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await api.post("/v1/events", json={"name": "Launch", **fields})
    assert response.status_code == 201, response.text
    return dict(response.json())


async def test_everything_that_is_told_is_shown(api: httpx2.AsyncClient) -> None:
    told = {
        "lobby_opens_s": 60, "auto_start": "at_time", "auto_end": True, "end_grace_s": 5,
        "time_zone": "Europe/Berlin", "latency": "low", "cold_functions": ["archive"],
        "labels": {"team": "sales"}, "metadata": {"id": 7, "deep": [{"x": None}], "ä": "✓"},
    }  # fmt: skip
    event = await create(api, starts_at=START, ends_at=END, recording=True, **told)
    assert {name: event[name] for name in told} == told
    assert (event["starts_at"], event["ends_at"]) == (
        "2030-06-01T18:00:00.000Z",
        "2030-06-01T19:30:00.000Z",
    )
    assert event["starts_at_local"] == "2030-06-01T20:00:00+02:00"
    assert event["ends_at_local"] == "2030-06-01T21:30:00+02:00"
    assert event["lobby_opens_at"] == "2030-06-01T17:59:00.000Z"
    changes = {
        "time_zone": None, "cold_functions": None, "labels": {}, "metadata": {"n": 1.5},
        "auto_end": False, "ends_at": None, "latency": "realtime",
    }  # fmt: skip
    changed = (await api.patch(f"/v1/events/{event['id']}", json=changes)).json()
    assert {name: changed[name] for name in changes} == changes
    assert changed["starts_at_local"] is None
    assert (await api.get(f"/v1/events/{event['id']}")).json() == changed


async def test_what_cannot_be_used_is_refused_in_words(api: httpx2.AsyncClient) -> None:
    for fields, said in UNUSABLE:
        refused = await api.post("/v1/events", json={"name": "x", **fields})
        assert refused.status_code == 422, fields
        assert said in refused.text


async def test_metadata_may_be_deep_but_not_endless(api: httpx2.AsyncClient) -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"d": deep}
    refused = await api.post("/v1/events", json={"name": "x", "metadata": deep})
    assert refused.status_code == 422
    assert "32 levels" in refused.text


async def test_a_change_must_fit_what_is_there(api: httpx2.AsyncClient) -> None:
    times = {"starts_at": START, "ends_at": END, "auto_start": "at_time", "auto_end": True}
    event = await create(api, **times, dvr_window_s=600)
    for changes, said in UNFITTING:
        refused = await api.patch(f"/v1/events/{event['id']}", json=changes)
        assert refused.status_code == 422, changes
        assert said in refused.text
    assert (await api.get(f"/v1/events/{event['id']}")).json() == event


async def test_functions_are_those_that_dispatchers_have(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    # Nobody has said what there is.
    assert (await create(api, cold_functions=["mine"]))["cold_functions"] == ["mine"]
    with deployment.session() as session, session.begin():
        for name, trigger in (
            *(("archive", "manifest"), ("clip-exact", "request")),
            ("half", "broken"),
        ):
            session.add(Function(name=name, trigger=trigger, doc="", terms={}, seen_ms=0))
    event = await create(api, cold_functions=["archive"])
    for names in (["mine"], ["clip-exact"], ["half"]):
        refused = await api.patch(f"/v1/events/{event['id']}", json={"cold_functions": names})
        assert refused.status_code == 422
        assert "Choose among archive" in refused.json()["fix"]
    nothing = await api.patch(f"/v1/events/{event['id']}", json={"cold_functions": []})
    assert nothing.json()["cold_functions"] == []


async def test_viewers_learn_what_to_show_and_to_aim_for(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    event = await create(
        api, starts_at=START, time_zone="Europe/Berlin", latency="low", metadata={"secret": 1}
    )
    told = (await viewer.get(f"/v1/playback/{event['id']}")).json()
    assert (told["latency"], told["starts_at_local"]) == ("low", "2030-06-01T20:00:00+02:00")
    assert "metadata" not in told
    assert "labels" not in told


async def test_an_event_that_is_not_recorded_promises_nothing(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = await create(api, recording=False)
    assert made["recording"] == {"enabled": False, "degraded": False}
    path, watched = f"/v1/events/{made['id']}", f"/v1/playback/{made['id']}"
    back = await api.patch(path, json={"recording": True, "dvr_window_s": 60})
    assert back.json()["recording"]["enabled"] is True
    await api.patch(path, json={"recording": False, "dvr_window_s": 0})
    assert (await viewer.get(watched)).json()["recorded"] is False
    advance(deployment, made["id"], Trigger.PROGRAM_LIVE)
    late = await api.patch(path, json={"recording": True})
    assert (late.status_code, "recording cannot change" in late.text) == (409, True)
    add_functions(deployment, INSTANT)
    clip = {"start": "2030-03-17T17:46:40Z", "end": "2030-03-17T17:46:41Z"}
    refused = await api.post(f"{path}/clips", json=clip)
    assert (refused.status_code, "is not recorded" in refused.text) == (409, True)
    assert (await viewer.get(f"{watched}/recording")).json()["status"] == "live"
    advance(deployment, made["id"], Trigger.END)
    assert (await viewer.get(f"{watched}/recording")).json()["status"] == "none"


async def test_without_an_archive_there_is_no_recording_for_viewers(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await create(api, cold_functions=["thumbnails"]))["id"]
    for trigger in (Trigger.PROGRAM_LIVE, Trigger.END):
        advance(deployment, event, trigger)
    assert (await viewer.get(f"/v1/playback/{event}")).json()["recorded"] is False
    assert (await viewer.get(f"/v1/playback/{event}/recording")).json()["status"] == "none"
