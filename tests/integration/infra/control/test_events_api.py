"""`/v1/events` from the first request to the last state."""

import base64
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from infra.auth.streamkeys import srt_passphrase, stream_key, whip_token
from infra.auth.tokens import covers, verify
from infra.db.control import Event, Fact, ProjectSecret
from infra.db.events_state import advance_event
from infra.lifecycle import ACTORS, Trigger
from tests.integration.infra.control.conftest import NOW_MS, Deployment

pytestmark = pytest.mark.integration


async def create(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await api.post("/v1/events", json={"name": "Launch", **fields})
    assert response.status_code == 201, response.text
    return dict(response.json())


def trigger(deployment: Deployment, event: str, *triggers: Trigger) -> None:
    with deployment.session() as session, session.begin():
        for one in triggers:
            advance_event(session, event, one, deployment.now_ms, by=min(ACTORS[one]))


def secret_of(deployment: Deployment, project: str = "default") -> bytes:
    with deployment.session() as session:
        row = session.scalars(select(ProjectSecret).where(ProjectSecret.project == project)).one()
        return base64.b64decode(row.secret)


async def test_a_new_event_says_where_to_publish_and_where_to_watch(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    response = await api.post(
        "/v1/events",
        json={"name": " Launch day ", "starts_at": "2030-06-01T20:00:00+02:00", "access": "token"},
    )
    event = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v1/events/{event['id']}"
    assert event["name"] == "Launch day"
    assert event["state"] == "scheduled"
    assert event["starts_at"] == "2030-06-01T18:00:00.000Z"
    assert event["created_at"] == "2030-03-17T17:46:40.000Z"
    secret, srt = secret_of(deployment), event["ingest"]["srt"]
    assert srt["stream_id"] == f"{event['id']}/{stream_key(secret, event['id'], 'k1', 1)}"
    assert srt["passphrase"] == srt_passphrase(secret, event["id"], "k1", 1)
    assert srt["latency_ms"] == 120
    assert srt["backup_stream_id"] == f"{srt['stream_id']}/backup"
    assert srt["backup_url"].startswith(
        f"srt://media.test:8082?streamid={srt['stream_id']}/backup&"
    )
    token = whip_token(secret, event["id"], "k1", 1)
    assert event["ingest"]["whip"] == {
        "url": f"http://media.test/whip/{event['id']}",
        "backup_url": f"http://media.test/whip/{event['id']}?role=backup",
        "token": token,
        "publish_url": f"http://control.test/publish/{event['id']}#{token}",
    }
    assert srt["url"].startswith(f"srt://media.test:8082?streamid={srt['stream_id']}&")
    live = f"/live/default/{event['id']}/main/index.m3u8"
    assert event["playback"] == {
        "hls_url": f"http://media.test{live}",
        "whep_url": f"http://media.test/live/default/{event['id']}/main/whep",
        "player_url": f"http://control.test/watch/{event['id']}",
        "vod_url": f"http://control.test/vod/{event['id']}",
    }
    assert event["recording"] == {"enabled": True, "degraded": False}
    nobody = {"connected": False}
    assert {name: event["ingest"][name] for name in ("primary", "backup", "active")} == {
        "primary": nobody,
        "backup": nobody,
        "active": None,
    }
    assert (await api.get(response.headers["Location"])).json() == event


async def test_writers_ring_the_publisher_and_readers_do_not(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api)
    assert deployment.rings == 1
    await api.get(f"/v1/events/{event['id']}")
    assert deployment.rings == 1
    # Audited, and of interest to nobody who waits.
    assert (await api.post(f"/v1/events/{event['id']}/tokens", json={})).status_code == 201
    assert deployment.rings == 1
    await api.patch(f"/v1/events/{event['id']}", json={"name": "y"})
    assert deployment.rings == 2
    await api.delete(f"/v1/events/{event['id']}")
    assert deployment.rings == 3


async def test_a_request_that_fails_changes_nothing(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api)
    with deployment.session() as session:
        before = session.get_one(Event, event["id"]).revision
    refused = await api.patch(f"/v1/events/{event['id']}", json={"access": "token", "name": ""})
    assert refused.status_code == 422
    trigger(deployment, event["id"], Trigger.PROGRAM_LIVE)
    refused = await api.patch(
        f"/v1/events/{event['id']}", json={"access": "token", "starts_at": None}
    )
    assert refused.status_code == 409
    with deployment.session() as session:
        row = session.get_one(Event, event["id"])
        assert (row.access, row.revision) == ("public", before)


async def test_pages_neither_skip_nor_repeat(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    made = []
    for number in range(7):
        deployment.now_ms = NOW_MS + number // 3  # several within one millisecond
        made.append((await create(api, name=f"E{number}"))["id"])
    seen: list[str] = []
    after: str | None = None
    for _ in range(4):
        page = (
            await api.get("/v1/events", params={"limit": 2} | ({"after": after} if after else {}))
        ).json()
        seen += [item["id"] for item in page["items"]]
        # A newcomer in between must not shift the pages.
        deployment.now_ms += 1000
        await create(api, name="newcomer")
        after = page["next"]
    assert after is None
    assert sorted(seen) == sorted(made)
    times = [(await api.get(f"/v1/events/{one}")).json()["created_at"] for one in seen]
    assert times == sorted(times, reverse=True)


async def test_lists_filter_by_state(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    first, second = await create(api), await create(api)
    trigger(deployment, first["id"], Trigger.PROGRAM_LIVE)
    live = (await api.get("/v1/events", params={"state": "live"})).json()
    assert [item["id"] for item in live["items"]] == [first["id"]]
    scheduled = (await api.get("/v1/events", params={"state": "scheduled"})).json()
    assert [item["id"] for item in scheduled["items"]] == [second["id"]]


async def test_only_changes_that_media_nodes_see_raise_the_revision(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api)
    path = f"/v1/events/{event['id']}"

    def revision() -> int:
        with deployment.session() as session:
            return session.get_one(Event, event["id"]).revision

    changed = (await api.patch(path, json={"name": "Other", "starts_at": None})).json()
    assert changed["name"] == "Other"
    assert (await api.patch(path, json={"access": "public"})).status_code == 200
    assert revision() == 1
    changed = (await api.patch(path, json={"access": "token", "reconnect_window_s": 5})).json()
    assert (changed["access"], changed["reconnect_window_s"]) == ("token", 5)
    assert revision() == 3


async def test_renditions_are_kept_and_fixed_once_the_event_is_live(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    assert (await create(api))["renditions"] == []
    event = await create(api, renditions=["720p", "audio-only"])
    path = f"/v1/events/{event['id']}"
    assert event["renditions"] == ["720p", "audio-only"]
    changed = await api.patch(path, json={"renditions": ["360p"]})
    assert changed.json()["renditions"] == ["360p"]
    with deployment.session() as session:
        assert session.get_one(Event, event["id"]).revision == 2
    trigger(deployment, event["id"], Trigger.PROGRAM_LIVE)
    refused = await api.patch(path, json={"renditions": [], "name": "Other"})
    assert refused.status_code == 409
    assert "is live, so its renditions cannot change" in refused.json()["detail"]
    # What changes nothing is no change.
    same = await api.patch(path, json={"renditions": ["360p"], "name": "Other"})
    assert (same.json()["renditions"], same.json()["name"]) == (["360p"], "Other")
    with deployment.session() as session:
        assert session.get_one(Event, event["id"]).revision == 2


async def test_how_far_viewers_can_go_back_is_fixed_once_the_event_is_live(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    assert (await create(api))["dvr_window_s"] == 0
    event = await create(api, dvr_window_s=3600)
    path = f"/v1/events/{event['id']}"
    assert event["dvr_window_s"] == 3600
    changed = await api.patch(path, json={"dvr_window_s": 43_200})
    assert changed.json()["dvr_window_s"] == 43_200
    trigger(deployment, event["id"], Trigger.PROGRAM_LIVE)
    refused = await api.patch(path, json={"dvr_window_s": 0})
    assert refused.status_code == 409
    assert "is live, so its dvr_window_s cannot change" in refused.json()["detail"]
    with deployment.session() as session:
        assert session.get_one(Event, event["id"]).revision == 2


async def test_an_event_is_cancelled_before_and_ended_after_it_was_live(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    never = await create(api)
    ended = await api.post(f"/v1/events/{never['id']}/end")
    assert ended.status_code == 409
    assert f"DELETE /v1/events/{never['id']}" in ended.json()["fix"]
    cancelled = await api.delete(f"/v1/events/{never['id']}")
    assert cancelled.json()["state"] == "cancelled"
    assert cancelled.json()["ingest"]["srt"] is None
    assert cancelled.json()["ingest"]["whip"] is None
    assert (await api.delete(f"/v1/events/{never['id']}")).status_code == 200

    live = await create(api)
    deployment.now_ms += 5_000
    trigger(deployment, live["id"], Trigger.PROGRAM_LIVE)
    refused = await api.delete(f"/v1/events/{live['id']}")
    assert refused.status_code == 409
    assert f"POST /v1/events/{live['id']}/end" in refused.json()["fix"]
    deployment.now_ms += 5_000
    over = (await api.post(f"/v1/events/{live['id']}/end")).json()
    assert over["state"] == "ended"
    assert over["started_at"] == "2030-03-17T17:46:45.000Z"
    assert over["ended_at"] == "2030-03-17T17:46:50.000Z"
    assert over["ingest"]["srt"] is None
    assert over["ingest"]["whip"] is None
    assert (await api.post(f"/v1/events/{live['id']}/end")).json() == over
    trigger(deployment, live["id"], Trigger.ARCHIVE_READY)
    assert (await api.get(f"/v1/events/{live['id']}")).json()["state"] == "archived"
    assert (await api.delete(f"/v1/events/{live['id']}")).status_code == 409


async def test_rotation_replaces_key_passphrase_and_whip_token(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api)
    rotated = (await api.post(f"/v1/events/{event['id']}/rotate-key")).json()
    before, after = event["ingest"]["srt"], rotated["ingest"]["srt"]
    assert before["passphrase"] != after["passphrase"]
    secret = secret_of(deployment)
    assert rotated["ingest"]["whip"]["token"] == whip_token(secret, event["id"], "k1", 2)
    assert rotated["ingest"]["whip"]["token"] != event["ingest"]["whip"]["token"]
    assert rotated["ingest"]["whip"]["url"] == event["ingest"]["whip"]["url"]
    assert after["stream_id"] == f"{event['id']}/{stream_key(secret, event['id'], 'k1', 2)}"
    with deployment.session() as session:
        assert session.get_one(Event, event["id"]).revision == 2
    await api.delete(f"/v1/events/{event['id']}")
    assert (await api.post(f"/v1/events/{event['id']}/rotate-key")).status_code == 409


async def test_a_token_opens_this_event_and_no_other(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api, access="token")
    response = await api.post(
        f"/v1/events/{event['id']}/tokens", json={"ttl_s": 600, "subject": "viewer-7"}
    )
    token = response.json()
    assert response.status_code == 201
    now_s = NOW_MS // 1000
    claims = verify(token["token"], {"k1": secret_of(deployment)}, now_s)
    assert (claims.project, claims.event) == ("default", event["id"])
    assert (claims.subject, claims.expires_at) == ("viewer-7", now_s + 600)
    live = f"/live/default/{event['id']}/main/index.m3u8"
    assert covers(claims, live)
    assert not covers(claims, "/live/default/ev_other/main/index.m3u8")
    assert token["hls_url"] == f"http://media.test/t/{token['token']}{live}"
    whep = f"/live/default/{event['id']}/main/whep"
    assert token["whep_url"] == f"http://media.test/t/{token['token']}{whep}"
    assert covers(claims, whep)
    assert token["player_url"] == f"http://control.test/watch/{event['id']}#{token['token']}"
    assert token["expires_at"] == "2030-03-17T17:56:40.000Z"


async def test_tokens_without_a_body_differ(api: httpx2.AsyncClient) -> None:
    event = await create(api)
    made = [(await api.post(f"/v1/events/{event['id']}/tokens")).json() for _ in range(2)]
    assert made[0]["token"] != made[1]["token"]
    assert made[0]["expires_at"] == "2030-03-17T21:46:40.000Z"


async def test_what_nodes_reported_is_shown_in_words_newest_first(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api)
    reports: list[tuple[str, dict[str, Any]]] = [
        ("publisher.refused", {"reason": "bad-passphrase", "peer": "192.0.2.1:9"}),
        ("ingest.warning", {"code": "gop", "message": "keyframes every 10 s"}),
        ("program.live", {}),
    ]
    with deployment.session() as session, session.begin():
        for number, (kind, detail) in enumerate(reports):
            session.add(
                Fact(
                    id=f"f{number}",
                    project="default",
                    event=event["id"],
                    type=kind,
                    at_ms=NOW_MS + number,
                    detail=detail,
                )
            )
        session.get_one(Event, event["id"]).recording_degraded = True
    shown = (await api.get(f"/v1/events/{event['id']}")).json()
    recent = shown["ingest"]["recent"]
    assert [one["type"] for one in recent] == ["ingest.warning", "publisher.refused"]
    assert recent[0]["message"] == "keyframes every 10 s"
    assert "passphrase is wrong or missing" in recent[1]["message"]
    assert shown["recording"] == {"enabled": True, "degraded": True}


async def test_playback_needs_no_key_and_shows_no_secret(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient
) -> None:
    event = await create(api, access="token")
    response = await viewer.get(f"/v1/playback/{event['id']}")
    assert response.json() == {
        "id": event["id"],
        "name": "Launch",
        "state": "scheduled",
        "access": "token",
        "starts_at": None,
        "ends_at": None,
        "time_zone": None,
        "starts_at_local": None,
        "started_at": None,
        "latency": "realtime",
        "hls_url": event["playback"]["hls_url"],
        "hls_captions_url": None,
        "dvr_window_s": 0,
        "whep_url": event["playback"]["whep_url"],
        "vod_url": event["playback"]["vod_url"],
        "recorded": True,
    }
    await api.delete(f"/v1/events/{event['id']}")
    assert (await viewer.get(f"/v1/playback/{event['id']}")).status_code == 404


async def test_pages_of_other_origins_may_call_the_api(viewer: httpx2.AsyncClient) -> None:
    preflight = await viewer.options(
        "/v1/events",
        headers={
            "Origin": "https://studio.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
