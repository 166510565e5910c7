"""A key opens one project. Whatever exists in another answers as if it did not."""

from itertools import product
from typing import Any

import httpx2
import pytest

from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.rows import add_asset, add_job

pytestmark = pytest.mark.integration
KEYLESS = {"/v1/publish/{event}"}
"""It takes the event's WHIP token, which is no API key."""
VIEWERS = "/v1/playback/"
"""Takes viewer tokens at most."""
MARKERS = "/v1/events/{event}/markers"
BODIES: dict[tuple[str, str], Any] = {
    ("patch", "/v1/events/{event}"): {"name": "stolen"},
    ("post", MARKERS): {"kind": "poll"},
    ("patch", MARKERS + "/{marker}"): {"end": "now"},
    ("post", "/v1/events/{event}/jobs"): {"function": "clip-instant"},
    ("post", "/v1/events/{event}/clips"): {"start": 1, "end": 2},
    ("put", "/v1/events/{event}/replay"): {"entries": []},
}
NO_KEYS = (
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer wrong",
    "Basic bHA6eA==",
    "lp_default_key_of_the_tests",
)
"""Authorization headers, the first of which is none."""
ABSENT = {"event": "ev_absent", "job": "job_absent", "marker": "mk_absent", "clip": "clip_absent"}


def operations(deployment: Deployment) -> list[tuple[str, str]]:
    """Every (method, path) of the API that names a row, from its own description."""
    return [
        (method, path)
        for path, methods in deployment.app.openapi()["paths"].items()
        for method in methods
        if "{" in path and path not in KEYLESS and not path.startswith(VIEWERS)
    ]


async def test_every_route_with_an_id_answers_404_to_another_project(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await api.post("/v1/events", json={"name": "mine"})).json()
    posted = await api.post(f"/v1/events/{event['id']}/markers", json={"kind": "poll"})
    mine = {"event": event["id"], "job": add_job(deployment, event["id"])}
    mine["marker"] = posted.json()["id"]
    mine["clip"] = mine["job"].replace("job", "clip")
    before = (await api.get(f"/v1/events/{event['id']}")).json()
    tried = operations(deployment)
    assert len(tried) >= 8
    for method, path in tried:
        body = BODIES.get((method, path))
        response = await other.request(method, path.format(**mine), json=body)
        unknown = await other.request(method, path.format(**ABSENT), json=body)
        assert response.status_code == 404, (method, path, response.text)
        # Not even the wording tells an event of another project from none at all.
        told = response.text
        for name, id in mine.items():
            told = told.replace(id, ABSENT[name])
        assert told == unknown.text
    assert (await api.get(f"/v1/events/{event['id']}")).json() == before


async def test_lists_hold_only_what_is_ones_own(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await api.post("/v1/events", json={"name": "mine"})).json()["id"]
    job = add_job(deployment, event)
    add_asset(deployment, event, job)
    for path in ("/v1/events", "/v1/jobs", f"/v1/jobs?event={event}"):
        assert len((await api.get(path)).json()["items"]) == 1
        assert (await other.get(path)).json() == {"items": [], "next": None}


async def test_a_cursor_of_another_project_shows_nothing(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient
) -> None:
    for number in range(3):
        await api.post("/v1/events", json={"name": f"E{number}"})
    cursor = (await api.get("/v1/events?limit=1")).json()["next"]
    assert (await other.get("/v1/events", params={"after": cursor})).json()["items"] == []


async def test_two_projects_derive_from_two_secrets(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient
) -> None:
    mine = (await api.post("/v1/events", json={"name": "a"})).json()
    theirs = (await other.post("/v1/events", json={"name": "b"})).json()
    assert theirs["playback"]["hls_url"].startswith("http://media.test/live/other/")
    assert mine["ingest"]["srt"]["passphrase"] != theirs["ingest"]["srt"]["passphrase"]


async def test_without_a_valid_key_nothing_is_shown(
    deployment: Deployment, viewer: httpx2.AsyncClient
) -> None:
    tried = [*operations(deployment), ("get", "/v1/events"), ("post", "/v1/events")]
    for header, (method, path) in product(NO_KEYS, tried):
        headers = {} if header is None else {"Authorization": header}
        url = path.format(**ABSENT)
        response = await viewer.request(method, url, headers=headers, json={"name": "x"})
        assert response.status_code == 401, (method, path, header)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.headers["Content-Type"] == "application/problem+json"


async def test_keys_are_not_stored(deployment: Deployment) -> None:
    from sqlalchemy import select

    from infra.db.control import ApiKey
    from tests.integration.infra.control.conftest import KEY, OTHER_KEY

    with deployment.session() as session:
        stored = [row.hash + row.name + row.id for row in session.scalars(select(ApiKey))]
    assert len(stored) == 2
    assert not [text for text in stored if KEY in text or OTHER_KEY in text]
