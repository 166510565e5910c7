"""`/v1/playback/{event}/recording` and clips by viewers: what is told to whom, as things arrive."""

from typing import Any

import httpx2
import pytest

from infra.db.jobs import Asset, Job
from infra.jobs.clip_request import INSTANT
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.rows import add_functions, add_job, advance

pytestmark = pytest.mark.integration

OVER = (Trigger.PROGRAM_LIVE, Trigger.END)


async def over(api: httpx2.AsyncClient, deployment: Deployment, **fields: Any) -> str:
    """An event that has ended."""
    made = str((await api.post("/v1/events", json={"name": "Walk", **fields})).json()["id"])
    await api.post(
        f"/v1/events/{made}/markers",
        json={"kind": "chapter", "title": "Start", "start": "2030-03-17T17:46:40Z"},
    )
    advance(deployment, made, *OVER)
    return made


def add(deployment: Deployment, event: str, kind: str, name: str, **more: Any) -> str:
    """An asset of the event; its key."""
    content = more.pop("content", "c0ffee")
    key = f"vod/default/{event}/main/{content}/{name}"
    with deployment.session() as session, session.begin():
        fields: dict[str, Any] = {
            "content_type": "x/y", "bytes": 5, "duration_ms": 4000, "detail": {}, "job": "job_1",
            "created_ms": deployment.now_ms, **more,
        }  # fmt: skip
        session.add(
            Asset(
                id=f"as_{content}-{name.replace('.', '-')}", project="default", event=event,
                feed="main", kind=kind, key=key, **fields,
            )
        )  # fmt: skip
    return key


async def recording(client: httpx2.AsyncClient, event: str, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await client.get(f"/v1/playback/{event}/recording", headers=headers)


async def token(api: httpx2.AsyncClient, event: str, **fields: Any) -> str:
    return str((await api.post(f"/v1/events/{event}/tokens", json=fields)).json()["token"])


async def test_the_status_follows_the_event(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    seen = [(await recording(viewer, event)).json()["status"]]
    for trigger in (Trigger.PROGRAM_LIVE, Trigger.PUBLISHER_LOST, Trigger.END):
        advance(deployment, event, trigger)
        seen.append((await recording(viewer, event)).json()["status"])
    assert seen == ["not-begun", "live", "live", "making"]
    add_job(deployment, event, state="dead")
    assert (await recording(viewer, event)).json()["status"] == "failed"
    add(deployment, event, "vod", "index.m3u8")
    assert (await recording(viewer, event)).json()["status"] == "ready"


async def test_what_belongs_to_a_public_recording(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await over(api, deployment)
    add_job(deployment, event)
    vod = add(deployment, event, "vod", "index.m3u8", duration_ms=61_000)
    for kind, name in (
        ("poster", "poster.jpg"), ("preview", "preview.webp"), ("storyboard", "storyboard.vtt"),
        ("mp4", "archive.mp4"), ("mp4", "720p.mp4"), ("clip", "clip.mp4"),
    ):  # fmt: skip
        add(deployment, event, kind, name, detail={"rendition": "video"} if kind == "mp4" else {})
    answer = await recording(viewer, event)
    assert answer.headers["cache-control"] == "public, max-age=2"
    found = answer.json()
    folder = f"http://control.test/{vod.rpartition('/')[0]}"
    assert (found["status"], found["duration_ms"], found["name"]) == ("ready", 61_000, "Walk")
    assert found["hls_url"] == f"{folder}/index.m3u8"
    assert found["storyboard_url"] == f"{folder}/storyboard.vtt"
    assert found["poster_url"] == f"{folder}/poster.jpg"
    names = [(file["name"], file["url"]) for file in found["downloads"]]
    assert names == [
        ("720p.mp4", f"{folder}/720p.mp4?download"),
        ("archive.mp4", f"{folder}/archive.mp4?download"),
    ]
    assert [marker["title"] for marker in found["markers"]] == ["Start"]
    assert (found["captions"], found["replay_url"], found["may_clip"]) == ([], None, False)


async def test_captions_lead_to_the_playlist_that_has_them(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await over(api, deployment)
    add_job(deployment, event)
    add(deployment, event, "vod", "index.m3u8")
    add(
        deployment, event, "captions", "captions.vtt",
        detail={"playlist": "index-captions.m3u8", "language": "en"},
    )  # fmt: skip
    found = (await recording(viewer, event)).json()
    assert found["hls_url"].endswith("/c0ffee/index-captions.m3u8")
    assert found["captions"] == ["en"]


async def test_what_was_made_of_another_recording_is_not_mixed_in(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await over(api, deployment)
    add_job(deployment, event)
    add(deployment, event, "vod", "index.m3u8", content="old")
    for kind, name in (("mp4", "archive.mp4"), ("captions", "captions.vtt")):
        add(deployment, event, kind, name, content="old", detail={"playlist": "x.m3u8"})
    deployment.now_ms += 5
    add(deployment, event, "vod", "index.m3u8", content="new")
    found = (await recording(viewer, event)).json()
    assert "/new/index.m3u8" in found["hls_url"]
    assert (found["downloads"], found["captions"]) == ([], [])


async def test_a_recording_with_access_by_token_is_told_to_its_holders(
    api: httpx2.AsyncClient,
    other: httpx2.AsyncClient,
    viewer: httpx2.AsyncClient,
    deployment: Deployment,
) -> None:
    event = await over(api, deployment, access="token")
    add_job(deployment, event)
    add(deployment, event, "vod", "index.m3u8")
    assert (await recording(viewer, event)).status_code == 401
    mine = await token(api, event)
    answer = await recording(viewer, event, mine)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["hls_url"].startswith(f"http://control.test/t/{mine}/vod/default/")
    theirs = (await other.post("/v1/events", json={"name": "x"})).json()["id"]
    assert (await recording(viewer, event, await token(other, theirs))).status_code == 401
    elsewhere = await over(api, deployment, access="token")
    assert (await recording(viewer, event, await token(api, elsewhere))).status_code == 403


async def test_a_token_for_clips_makes_them_and_no_other_does(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    add_functions(deployment, INSTANT)
    event = await over(api, deployment)
    path, wanted = f"/v1/playback/{event}/clips", {"start": 1, "end": 2.5}
    plain, editor = await token(api, event), await token(api, event, clips=True)
    for headers in ({}, {"Authorization": f"Bearer {plain}"}):
        refused = await viewer.post(path, json=wanted, headers=headers)
        assert refused.status_code == 403
        assert "clips" in refused.json()["fix"]
    assert (await recording(viewer, event, editor)).json()["may_clip"] is True
    headers = {"Authorization": f"Bearer {editor}"}
    made = await viewer.post(path, json=wanted, headers=headers)
    assert made.status_code == 201, made.text
    with deployment.reading() as session:
        assert session.get_one(Job, made.json()["job"]).function == INSTANT
    # Whoever may watch the event may watch the clip.
    shown = await viewer.get(made.headers["location"])
    assert shown.json()["id"] == made.json()["id"]
    other_event = await over(api, deployment)
    elsewhere = await viewer.post(f"/v1/playback/{other_event}/clips", json=wanted, headers=headers)
    assert elsewhere.status_code == 403
    hidden = await viewer.get(f"/v1/playback/{other_event}/clips/{shown.json()['id']}")
    assert hidden.status_code == 404


async def test_assets_say_where_viewers_get_them(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await over(api, deployment)
    add_job(deployment, event)
    key = add(deployment, event, "vod", "index.m3u8")
    (asset,) = (await api.get(f"/v1/events/{event}/assets")).json()["items"]
    assert asset["viewer_url"] == f"http://control.test/{key}"


async def test_pages_have_addresses(api: httpx2.AsyncClient) -> None:
    event = (await api.post("/v1/events", json={"name": "x"})).json()
    assert event["playback"]["vod_url"] == f"http://control.test/vod/{event['id']}"
    issued = (await api.post(f"/v1/events/{event['id']}/tokens")).json()
    assert issued["vod_url"] == f"http://control.test/vod/{event['id']}#{issued['token']}"


async def test_posters_of_the_live_event_leave_room_for_its_recording(
    api: httpx2.AsyncClient,
    viewer: httpx2.AsyncClient,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infra.control.vod._MOST", 2)
    event = await over(api, deployment)
    add_job(deployment, event, state="succeeded")
    add(deployment, event, "vod", "index.m3u8")
    for number in range(3):
        later = {"created_ms": deployment.now_ms + number, "content": f"p{number}"}
        add(deployment, event, "poster-live", "poster.jpg", **later)
    told = (await recording(viewer, event)).json()
    assert told["status"] == "ready"
    assert "/p2/" in told["poster_url"]
