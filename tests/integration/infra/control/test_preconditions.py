"""A change goes by what the client has seen, where it says so; what it still holds is not sent."""

import httpx2
import pytest

from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import Deployment
from tests.integration.infra.control.rows import advance

pytestmark = pytest.mark.integration


@pytest.fixture
async def path(api: httpx2.AsyncClient) -> str:
    """Of a new event."""
    return str((await api.post("/v1/events", json={"name": "Launch"})).headers["Location"])


async def test_every_answer_with_the_event_has_its_tag(api: httpx2.AsyncClient) -> None:
    made = await api.post("/v1/events", json={"name": "Launch", "draft": True})
    path = made.headers["Location"]
    tags = [made.headers["ETag"], (await api.get(path)).headers["ETag"]]
    assert tags[0] == tags[1]
    assert tags[0].startswith('"')
    for method, action in (
        ("PATCH", ""), ("POST", "/schedule"), ("POST", "/rotate-key"), ("DELETE", ""),
    ):  # fmt: skip
        body = {"name": "Other"} if method == "PATCH" else None
        answer = await api.request(method, path + action, json=body)
        assert answer.status_code == 200
        assert (await api.get(path)).headers["ETag"] == answer.headers["ETag"]
        tags.append(answer.headers["ETag"])
    assert len(set(tags)) == 5


async def test_what_the_client_holds_is_not_sent_again(
    api: httpx2.AsyncClient, path: str, deployment: Deployment
) -> None:
    tag = (await api.get(path)).headers["ETag"]
    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await api.get(path, headers={"If-None-Match": held})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == tag
    advance(deployment, path.split("/")[3], Trigger.PROGRAM_LIVE)
    assert (await api.get(path, headers={"If-None-Match": tag})).json()["state"] == "live"


async def test_of_two_who_saw_the_same_one_changes_it(api: httpx2.AsyncClient, path: str) -> None:
    seen = {"If-Match": (await api.get(path)).headers["ETag"]}
    first = await api.patch(path, json={"name": "First"}, headers=seen)
    assert first.status_code == 200
    late = await api.patch(path, json={"name": "Second"}, headers=seen)
    assert late.status_code == 412
    assert late.headers["Content-Type"] == "application/problem+json"
    assert first.headers["ETag"] in late.json()["detail"]
    assert (await api.get(path)).json()["name"] == "First"
    again = {"If-Match": f'"x", {first.headers["ETag"]}'}
    assert (await api.patch(path, json={"name": "Third"}, headers=again)).status_code == 200
    assert (await api.patch(path, json={}, headers={"If-Match": "*"})).status_code == 200


@pytest.mark.parametrize(
    ("method", "action"),
    [("DELETE", ""), ("POST", "/end"), ("POST", "/rotate-key"), ("POST", "/schedule")],
)
async def test_changes_of_state_go_by_it_as_well(
    api: httpx2.AsyncClient, path: str, method: str, action: str
) -> None:
    before = (await api.get(path)).json()
    for tag in ('"0123"', "W/*"):
        refused = await api.request(method, path + action, headers={"If-Match": tag})
        assert refused.status_code == 412
    assert (await api.get(path)).json() == before


async def test_an_event_that_is_not_there_is_404(api: httpx2.AsyncClient) -> None:
    refused = await api.patch("/v1/events/ev_no", json={}, headers={"If-Match": '"x"'})
    assert refused.status_code == 404
