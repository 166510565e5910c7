"""`/v1/jobs` and `/v1/events/{id}/assets`; downloads come from a real S3 server."""

import httpx2
import pytest

from infra.control.idempotency import KEEP_MS
from infra.db.jobs import Function, Job
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


async def test_assets_of_one_kind(api: httpx2.AsyncClient, deployment: Deployment) -> None:
    event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    job = add_job(deployment, event)
    add_asset(deployment, event, job)
    add_asset(deployment, event, job, "poster.jpg", "poster")
    found = (await api.get(f"/v1/events/{event}/assets?kind=poster")).json()["items"]
    assert [one["kind"] for one in found] == ["poster"]
    assert (await api.get(f"/v1/events/{event}/assets?kind=none")).json()["items"] == []


def add_function(deployment: Deployment, name: str, trigger: str) -> None:
    with deployment.session() as session, session.begin():
        session.add(
            Function(
                name=name,
                trigger=trigger,
                doc="Does it.",
                terms={
                    "queue": "fast",
                    "max_attempts": 3,
                    "timeout_s": 60,
                    "memory_mb": 128,
                    "per_project": None,
                },
                seen_ms=deployment.now_ms,
            )
        )


class TestAsking:
    """Functions that wait to be asked."""

    @pytest.fixture
    async def event(self, api: httpx2.AsyncClient, deployment: Deployment) -> str:
        add_function(deployment, "highlight", "request")
        add_function(deployment, "archive", "manifest")
        add_function(deployment, "half", "broken")
        return str((await api.post("/v1/events", json={"name": "x"})).json()["id"])

    async def test_functions_are_listed_with_their_terms(
        self, api: httpx2.AsyncClient, event: str
    ) -> None:
        found = (await api.get("/v1/functions")).json()["items"]
        assert [(one["name"], one["trigger"]) for one in found] == [
            ("archive", "manifest"),
            ("half", "broken"),
            ("highlight", "request"),
        ]
        assert (found[0]["queue"], found[0]["timeout_s"]) == ("fast", 60)

    async def test_a_job_is_asked_for_once(
        self, api: httpx2.AsyncClient, event: str, deployment: Deployment
    ) -> None:
        wanted = {"function": "highlight", "params": {"at": 5}}
        first = await api.post(f"/v1/events/{event}/jobs", json=wanted)
        again = await api.post(f"/v1/events/{event}/jobs", json=wanted)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert first.headers["Location"] == f"/v1/jobs/{first.json()['id']}"
        job = (await api.get(first.headers["Location"])).json()
        assert (job["state"], job["queue"], job["params"]) == ("queued", "fast", {"at": 5})
        with deployment.reading() as session:
            assert session.get_one(Job, job["id"]).timeout_s == 60

    async def test_an_idempotency_key_tells_requests_apart(
        self, api: httpx2.AsyncClient, event: str
    ) -> None:
        async def ask(key: str, at: int) -> httpx2.Response:
            wanted = {"function": "highlight", "params": {"at": at}}
            headers = {"Idempotency-Key": key}
            return await api.post(f"/v1/events/{event}/jobs", json=wanted, headers=headers)

        one, same, other = await ask("a", 1), await ask("a", 1), await ask("b", 1)
        assert one.json()["id"] == same.json()["id"] != other.json()["id"]
        refused = await ask("a", 2)
        assert refused.status_code == 409
        assert "Idempotency-Key was used" in refused.json()["detail"]

    async def test_an_idempotency_key_is_its_callers_own(
        self, api: httpx2.AsyncClient, deployment: Deployment, event: str
    ) -> None:
        fields = {"name": "second", "scopes": ["jobs:write"]}
        secret = (await api.post("/v1/keys", json=fields)).json()["secret"]
        async with deployment.client(secret) as second:
            made = [
                await client.post(
                    f"/v1/events/{event}/jobs",
                    json={"function": "highlight", "params": {"at": at}},
                    headers={"Idempotency-Key": "a"},
                )
                for client, at in ((api, 1), (second, 1), (api, 1))
            ]
        assert [answer.status_code for answer in made] == [201] * 3
        first, theirs, again = [answer.json()["id"] for answer in made]
        assert first == again != theirs

    async def test_an_idempotency_key_is_free_after_a_day_and_makes_nothing_twice(
        self, api: httpx2.AsyncClient, deployment: Deployment, event: str
    ) -> None:
        async def ask(at: int) -> httpx2.Response:
            wanted = {"function": "highlight", "params": {"at": at}}
            headers = {"Idempotency-Key": "a"}
            return await api.post(f"/v1/events/{event}/jobs", json=wanted, headers=headers)

        first = await ask(1)
        deployment.now_ms += KEEP_MS
        same = await ask(1)
        assert (same.status_code, same.json()["id"]) == (200, first.json()["id"])
        assert (await ask(2)).status_code == 409
        deployment.now_ms += KEEP_MS
        other = await ask(2)
        assert other.status_code == 201
        assert other.json()["id"] != first.json()["id"]

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({"function": "archive"}, "no function 'archive' that can be asked for"),
            ({"function": "nothing"}, "no function 'nothing'"),
            ({"function": "half"}, "function 'half' cannot run here: Does it."),
            ({"function": "highlight", "params": {"x": "y" * 9_000}}, "8192"),
            ({"function": "highlight", "feed": "../main"}, "pattern"),
        ],
    )
    async def test_what_cannot_be_asked_for_is_refused(
        self, api: httpx2.AsyncClient, event: str, wanted: dict[str, object], said: str
    ) -> None:
        refused = await api.post(f"/v1/events/{event}/jobs", json=wanted)
        assert refused.status_code == 422
        assert said in refused.text

    async def test_events_of_others_are_not_there(
        self, api: httpx2.AsyncClient, event: str
    ) -> None:
        refused = await api.post("/v1/events/ev_none/jobs", json={"function": "highlight"})
        assert refused.status_code == 404

    async def test_what_was_cancelled_can_be_asked_for_again(
        self, api: httpx2.AsyncClient, event: str
    ) -> None:
        wanted = {"function": "highlight", "params": {"at": 1}}
        first = (await api.post(f"/v1/events/{event}/jobs", json=wanted)).json()
        cancelled = await api.post(f"/v1/jobs/{first['id']}/cancel")
        assert cancelled.json()["state"] == "cancelled"
        again = await api.post(f"/v1/events/{event}/jobs", json=wanted)
        assert (again.status_code, again.json()["id"]) == (200, first["id"])
        assert again.json()["state"] == "queued"


class TestOrders:
    @pytest.mark.parametrize("state", ["dead", "cancelled"])
    async def test_a_job_that_was_given_up_gets_another_round(
        self, api: httpx2.AsyncClient, deployment: Deployment, state: str
    ) -> None:
        job = add_job(deployment, "ev_1", state=state)
        done = (await api.post(f"/v1/jobs/{job}/retry")).json()
        assert (done["state"], done["attempt_count"]) == ("queued", 0)
        assert deployment.rings > 0

    async def test_a_job_that_runs_is_cancelled_and_its_fence_rises(
        self, api: httpx2.AsyncClient, deployment: Deployment
    ) -> None:
        job = add_job(deployment, "ev_1", state="running")
        done = await api.post(f"/v1/jobs/{job}/cancel")
        assert done.json()["state"] == "cancelled"
        with deployment.reading() as session:
            assert session.get_one(Job, job).fence == 3

    @pytest.mark.parametrize(("order", "state"), [("retry", "running"), ("cancel", "succeeded")])
    async def test_an_order_that_makes_no_sense_changes_nothing(
        self, api: httpx2.AsyncClient, deployment: Deployment, order: str, state: str
    ) -> None:
        job = add_job(deployment, "ev_1", state=state)
        refused = await api.post(f"/v1/jobs/{job}/{order}")
        assert refused.status_code == 409
        assert f"is {state}" in refused.json()["detail"]

    async def test_jobs_of_others_are_not_there(
        self, deployment: Deployment, other: httpx2.AsyncClient
    ) -> None:
        job = add_job(deployment, "ev_1", state="dead")
        assert (await other.post(f"/v1/jobs/{job}/retry")).status_code == 404
