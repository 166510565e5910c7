"""`/v1/jobs` and `/v1/events/{id}/assets`; downloads come from a real S3 server."""

import httpx2
import pytest

from infra.storage.objects import ObjectStore
from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.rows import add_asset, add_job

pytestmark = pytest.mark.integration


async def test_a_job_with_its_attempts_in_order(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    job = (await api.get(f"/v1/jobs/{add_job(deployment, 'ev_1')}")).json()
    assert job["id"] == "job_1"
    assert job["state"] == "succeeded"
    assert job["progress"] == 1.0
    assert job["outputs"] == {"keys": ["vod/x"]}
    assert [(one["number"], one["outcome"]) for one in job["attempts"]] == [
        (1, "lost"),
        (2, "succeeded"),
    ]
    assert job["started_at"] == "2030-03-17T17:46:40.010Z"
    assert "project" not in job


async def test_jobs_are_listed_filtered_and_paged(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    for number in range(5):
        add_job(deployment, "ev_1", f"job_{number}", at=number // 2)
    add_job(deployment, "ev_2", "job_dead", state="dead")
    seen: list[str] = []
    path: str | None = "/v1/jobs?event=ev_1&limit=2"
    while path:
        page = (await api.get(path)).json()
        seen += [one["id"] for one in page["items"]]
        path = f"/v1/jobs?event=ev_1&limit=2&after={page['next']}" if page["next"] else None
    assert seen == ["job_4", "job_3", "job_2", "job_1", "job_0"]
    dead = (await api.get("/v1/jobs?state=dead")).json()
    assert [one["event"] for one in dead["items"]] == ["ev_2"]


class TestAssets:
    """With a bucket of a real server behind the links."""

    @pytest.fixture
    def s3_for_presigning(self, s3_url: str) -> str:
        return s3_url

    async def test_anyone_can_download_an_asset_by_its_link(
        self, api: httpx2.AsyncClient, deployment: Deployment, s3_for_presigning: str
    ) -> None:
        event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
        assert (await api.get(f"/v1/events/{event}/assets")).json()["items"] == []
        key = add_asset(deployment, event, add_job(deployment, event))
        store = ObjectStore.from_url(s3_for_presigning)
        store.ensure_bucket()
        store.put(key, b"movie", "video/mp4")

        (asset,) = (await api.get(f"/v1/events/{event}/assets")).json()["items"]
        assert (asset["kind"], asset["bytes"], asset["duration_ms"]) == ("mp4", 5, 4000)
        assert asset["key"] == key
        assert asset["url_expires_at"] == "2030-03-17T18:46:40.000Z"
        async with httpx2.AsyncClient(trust_env=False) as anyone:
            download = await anyone.get(asset["url"])
        assert download.content == b"movie"
        assert "archive.mp4" in download.headers["Content-Disposition"]
