"""Every answer carries the id of its request; problems and logs name the same."""

import httpx2
import pytest

from infra.control import dependencies
from tests.integration.infra.control.conftest import Deployment

pytestmark = pytest.mark.integration


async def test_an_id_of_the_client_is_kept(api: httpx2.AsyncClient) -> None:
    ours = {"X-Request-Id": "a.B-c_9"}
    response = await api.get("/v1/events/ev_absent", headers=ours)
    assert response.headers["X-Request-Id"] == response.json()["request_id"] == "a.B-c_9"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "a\tb", '"', "ä", "a,b"])
async def test_what_is_no_id_is_replaced(api: httpx2.AsyncClient, sent: str) -> None:
    headers = [(b"X-Request-Id", sent.encode())]
    response = await api.get("/v1/events", headers=headers)
    assert response.headers["X-Request-Id"].startswith("req_")


async def test_every_answer_has_its_own(viewer: httpx2.AsyncClient) -> None:
    paths = ("/", "/healthz", "/v1/nothing", "/v1/events", "/static/nothing.js")
    ids = [(await viewer.get(path)).headers["X-Request-Id"] for path in paths]
    assert len(set(ids)) == len(paths)


async def test_a_bug_has_one_too(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_key: str) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr(dependencies, "hash_api_key", broken)
    transport = httpx2.ASGITransport(deployment.app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer x", "X-Request-Id": "r1"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://control.test") as client:
        response = await client.get("/v1/events", headers=headers)
    assert response.status_code == 500
    assert response.json()["request_id"] == response.headers["X-Request-Id"] == "r1"
