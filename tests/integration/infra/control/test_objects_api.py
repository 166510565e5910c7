"""Finished objects over HTTP: who may read which, in ranges, and nothing else."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from infra.control.objects import SLICE
from infra.db.control import Event
from infra.storage.memory import MemoryObjectStore
from tests.integration.infra.control.conftest import Deployment

pytestmark = pytest.mark.integration

FILM = bytes(range(256)) * (SLICE // 100)


async def scheduled(client: httpx2.AsyncClient, **fields: Any) -> str:
    return str((await client.post("/v1/events", json={"name": "x", **fields})).json()["id"])


def stored(deployment: Deployment, event: str, project: str = "default") -> str:
    """A film of the event; its path."""
    key = f"vod/{project}/{event}/main/c0ffee/archive.mp4"
    deployment.bucket.put(key, FILM, "video/mp4")
    return f"/{key}"


async def token(client: httpx2.AsyncClient, event: str, **fields: Any) -> str:
    answer = await client.post(f"/v1/events/{event}/tokens", json=fields)
    return str(answer.json()["token"])


async def test_a_public_recording_is_read_by_everybody(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    path = stored(deployment, await scheduled(api))
    whole = await viewer.get(path)
    assert whole.status_code == 200
    assert whole.content == FILM
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["cache-control"].startswith("public")
    assert whole.headers["accept-ranges"] == "bytes"
    again = await viewer.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_range_over_slices(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    path = stored(deployment, await scheduled(api))
    first, last = SLICE - 3, 2 * SLICE + 5
    part = await viewer.get(path, headers={"Range": f"bytes={first}-{last}"})
    assert part.status_code == 206
    assert part.content == FILM[first : last + 1]
    assert part.headers["content-range"] == f"bytes {first}-{last}/{len(FILM)}"
    beyond = await viewer.get(path, headers={"Range": f"bytes={len(FILM)}-"})
    assert (beyond.status_code, beyond.content) == (416, b"")


async def test_head_has_the_size_and_no_body(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    head = await viewer.head(stored(deployment, await scheduled(api)))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(FILM))


async def test_other_sites_may_play_it(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    path = stored(deployment, await scheduled(api))
    answer = await viewer.get(path, headers={"Origin": "https://elsewhere.test"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in answer.headers["access-control-expose-headers"]


async def test_a_token_opens_its_event_and_all_that_a_playlist_names(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await scheduled(api, access="token")
    path = stored(deployment, event)
    segment = f"live/default/{event}/main/i1/video/s7.m4s"
    deployment.bucket.put(segment, b"moof", "video/mp4")
    mine = await token(api, event)
    assert (await viewer.get(path)).status_code == 401
    assert (await viewer.get(f"/t/{mine}{path}")).content == FILM
    # As a player resolves what a playlist says.
    playlist = httpx2.URL(f"http://control.test/t/{mine}{path}")
    found = await viewer.get(str(playlist.join(f"../../../../../{segment}")))
    assert found.content == b"moof"
    assert found.headers["cache-control"].startswith("private")


async def test_a_token_opens_nothing_else(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event, other = await scheduled(api, access="token"), await scheduled(api, access="token")
    mine, path = await token(api, event, ttl_s=60), stored(deployment, other)
    assert (await viewer.get(f"/t/{mine}{path}")).status_code == 403
    assert (await viewer.get(f"/t/{mine[:-2]}xx{path}")).status_code == 401
    own = stored(deployment, event)
    deployment.now_ms += 61_000
    expired = await viewer.get(f"/t/{mine}{own}")
    assert expired.status_code == 401
    assert "expired" in expired.json()["detail"]


async def test_a_project_is_no_way_to_the_objects_of_another(
    api: httpx2.AsyncClient,
    other: httpx2.AsyncClient,
    viewer: httpx2.AsyncClient,
    deployment: Deployment,
) -> None:
    theirs = await scheduled(other, access="token")
    secret = stored(deployment, theirs, "other")
    mine = await scheduled(api)
    for path in (
        secret.replace("/other/", "/default/"),  # my project's name before their event
        stored(deployment, mine, "other"),  # their project's name before my public event
    ):
        assert (await viewer.get(path)).status_code == 404
    own = await token(api, mine)
    assert (await viewer.get(f"/t/{own}{secret}")).status_code == 401


async def test_no_path_leads_anywhere_else(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event, hidden = await scheduled(api), await scheduled(api, access="token")
    key = stored(deployment, hidden).lstrip("/")
    deployment.bucket.put(f"live/default/{event}/main/i1/manifest.json", b"{}", "x")
    deployment.bucket.put(f"work/default/{event}/main/i1/captions/w.json", b"{}", "x")
    deployment.bucket.put("secret.txt", b"s", "text/plain")
    base = f"/vod/default/{event}/main/c0ffee"
    for path in (
        f"{base}/../../../../../{key}",
        f"{base}/..%2f..%2f..%2f..%2f..%2f{key}",
        f"{base}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.txt",
        "/vod/../secret.txt",
        "/vod/secret.txt/x",
        f"/vod/default/{event}/main//c0ffee/archive.mp4",
        f"{base}/archive.mp4%00",
        f"/live/default/{event}/main/i1/manifest.json",
        f"/work/default/{event}/main/i1/captions/w.json",
        f"{base}/nothing.mp4",
    ):
        answer = await viewer.get(path)
        assert answer.status_code in (401, 404), path
        assert b"{}" not in answer.content, path
    assert (await viewer.post(f"{base}/archive.mp4")).status_code == 405


async def test_an_encoded_slash_is_judged_by_where_it_leads(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    hidden = await scheduled(api, access="token")
    path = stored(deployment, hidden)
    assert (await viewer.get("/vod" + path[4:].replace("/", "%2f"))).status_code in (401, 404)


async def test_a_change_of_access_takes_effect(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await scheduled(api)
    path = stored(deployment, event)
    assert (await viewer.get(path)).status_code == 200
    await api.patch(f"/v1/events/{event}", json={"access": "token"})
    mine = await token(api, event)
    deployment.now_ms += 2_001
    assert (await viewer.get(path)).status_code == 401
    with deployment.session() as session, session.begin():
        session.execute(update(Event).where(Event.id == event).values(state="cancelled"))
    deployment.now_ms += 2_001
    assert (await viewer.get(f"/t/{mine}{path}")).status_code == 404


class Ailing(MemoryObjectStore):
    """Finds everything and gives less than it found."""

    def read(self, key: str, first: int, count: int) -> bytes:
        return super().read(key, first, count - 1)


async def test_a_store_in_trouble_is_told_in_words(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, deployment: Deployment
) -> None:
    deployment.bucket = Ailing()
    answer = await viewer.get(stored(deployment, await scheduled(api)))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["fix"]
