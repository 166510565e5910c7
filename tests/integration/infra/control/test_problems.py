"""Bad input gets a problem that names the value and the fix, never a traceback."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from infra.control import dependencies
from infra.control.middleware import MAX_BODY
from infra.renditions import NAMES
from tests.integration.infra.control.conftest import Deployment

pytestmark = pytest.mark.integration
JSON = {"Content-Type": "application/json"}


def problem(response: httpx2.Response) -> dict[str, Any]:
    assert response.headers["Content-Type"] == "application/problem+json"
    body = dict(response.json())
    assert body["status"] == response.status_code
    assert body["fix"]
    assert body["title"]
    return body


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"name":', "body."),
        (b"", "body"),
        (b"[]", "body"),
        (b"name=x", "body."),
        (b'"text"', "body"),
        (b"\xff\xfe", "body."),
        (b'{"name":"x"}{', "body."),
        (b"[" * 30_000, ""),
    ],
)
async def test_a_body_that_is_no_json_object(
    api: httpx2.AsyncClient, body: bytes, where: str
) -> None:
    told = problem(await api.post("/v1/events", content=body, headers=JSON))
    assert told["status"] in {400, 422}
    assert "JSON" in told["fix"]
    assert any(item["where"].startswith(where) for item in told.get("errors", [{"where": where}]))


async def test_json_without_its_content_type(api: httpx2.AsyncClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told = problem(await api.post("/v1/events", content=b'{"name":"x"}', headers=form))
    assert "Content-Type: application/json" in told["fix"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, "body.name"),
        ({"name": ""}, "body.name"),
        ({"name": "  "}, "body.name"),
        ({"name": "x" * 201}, "body.name"),
        ({"name": "a\x00b"}, "body.name"),
        ({"name": 7}, "body.name"),
        ({"name": "x", "starts_at": "tomorrow"}, "body.starts_at"),
        ({"name": "x", "starts_at": "2030-01-01T00:00:00"}, "body.starts_at"),
        ({"name": "x", "starts_at": "9999-12-31T23:59:59-12:00"}, "body.starts_at"),
        ({"name": "x", "access": "secret"}, "body.access"),
        ({"name": "x", "target_duration_s": 0}, "body.target_duration_s"),
        ({"name": "x", "reconnect_window_s": 1e99}, "body.reconnect_window_s"),
        ({"name": "x", "nmae": "y"}, "body.nmae"),
        ({"name": "x", "renditions": ["720p", "4k"]}, "body.renditions.1"),
        ({"name": "x", "renditions": ["720p", "720p"]}, "body.renditions"),
        ({"name": "x", "renditions": list(NAMES)}, "body.renditions"),
        ({"name": "x", "dvr_window_s": 43_201}, "body.dvr_window_s"),
        ({"name": "x", "dvr_window_s": -1}, "body.dvr_window_s"),
    ],
)
async def test_a_value_that_cannot_be_used_is_named(
    api: httpx2.AsyncClient, fields: dict[str, Any], where: str
) -> None:
    told = problem(await api.post("/v1/events", json=fields))
    assert told["status"] == 422
    assert [item["where"] for item in told["errors"]] == [where]
    assert where in told["detail"]


async def test_a_patch_cannot_null_what_has_no_null(api: httpx2.AsyncClient) -> None:
    event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    told = problem(await api.patch(f"/v1/events/{event}", json={"access": None}))
    assert "access cannot be null" in told["detail"]
    told = problem(await api.patch(f"/v1/events/{event}", json={"renditions": None}))
    assert "renditions cannot be null" in told["detail"]
    told = problem(await api.patch(f"/v1/events/{event}", json={"target_duration_s": 4}))
    assert told["errors"][0]["where"] == "body.target_duration_s"


async def test_a_lone_surrogate_is_refused_in_words(api: httpx2.AsyncClient) -> None:
    for body in (b'{"name":"\\ud800"}', b'{"name":"x","\\udfff":1}'):
        told = problem(await api.post("/v1/events", content=body, headers=JSON))
        assert told["status"] == 422


async def test_a_body_without_end_is_cut_off(api: httpx2.AsyncClient) -> None:
    told = problem(await api.post("/v1/events", content=b" " * (MAX_BODY + 1), headers=JSON))
    assert told["status"] == 413
    padded = b" " * (MAX_BODY - 12) + b'{"name":"x"}'
    assert (await api.post("/v1/events", content=padded, headers=JSON)).status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        "/v1/events/a%00b",
        "/v1/events/%ff%fe",
        "/v1/events/..%2f..%2fx",
        "/v1/events/" + "x" * 4000,
        "/v1/events/EV_1",
        "/v1/events/a%00b/assets",
        "/v1/jobs/a%00b",
        "/v1/playback/a%00b",
        "/v1/nothing",
    ],
)
async def test_a_path_that_names_nothing_is_404(api: httpx2.AsyncClient, path: str) -> None:
    assert problem(await api.get(path))["status"] == 404


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "after=x", "after=%00", "after=%F0%9F", "state=gone"],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/jobs"])
async def test_a_query_that_cannot_be_used(api: httpx2.AsyncClient, path: str, query: str) -> None:
    assert problem(await api.get(f"{path}?{query}"))["status"] == 422


async def test_a_foreign_event_filter_finds_nothing(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/v1/jobs?event=a%00b")).json() == {"items": [], "next": None}


async def test_a_wrong_method(api: httpx2.AsyncClient) -> None:
    response = await api.put("/v1/events", json={})
    assert problem(response)["status"] == 405
    assert response.headers["Allow"]


async def test_an_outage_in_the_middle_of_a_request_is_503(
    api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("SELECT", {}, ConnectionResetError())

    monkeypatch.setattr(dependencies, "found_key", broken)
    response = await api.get("/v1/events")
    assert problem(response)["status"] == 503
    assert response.headers["Retry-After"]
    assert "SELECT" not in response.text


async def test_a_bug_is_500_without_its_secrets(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("passphrase hunter2")

    monkeypatch.setattr(dependencies, "found_key", broken)
    transport = httpx2.ASGITransport(deployment.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://control.test") as client:
        response = await client.get("/v1/events", headers={"Authorization": "Bearer x"})
    assert problem(response)["status"] == 500
    assert "hunter2" not in response.text


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
    | st.fixed_dictionaries(
        {"name": st.text()},
        optional={
            "starts_at": st.text() | st.datetimes().map(str) | st.none() | st.floats(),
            "access": st.sampled_from(["public", "token", "x"]),
            "takeover": st.booleans() | st.text(),
            "reconnect_window_s": st.integers() | st.floats(),
            "target_duration_s": st.integers(),
            "renditions": st.lists(st.sampled_from([*NAMES, "4k"])) | st.text(),
            "dvr_window_s": st.integers() | st.floats() | st.none(),
            "ends_at": st.text() | st.datetimes().map(str) | st.none(),
            "time_zone": st.text() | st.sampled_from(["Europe/Berlin", "UTC", "localtime"]),
            "lobby_opens_s": st.integers() | st.booleans(),
            "auto_start": st.sampled_from(["at_time", "on_publish", ""]),
            "labels": st.dictionaries(st.text(), st.text()),
            "metadata": st.dictionaries(st.text(), st.floats() | st.text() | st.integers()),
            "cold_functions": st.lists(st.text()) | st.none(),
            "recording": st.booleans() | st.none(),
        },
    )
)
async def test_whatever_is_posted_is_taken_or_refused(
    api: httpx2.AsyncClient, body: object
) -> None:
    response = await api.post("/v1/events", content=json.dumps(body), headers=JSON)
    assert response.status_code in {201, 400, 422}
    if response.status_code != 201:
        problem(response)


async def test_the_api_describes_itself(viewer: httpx2.AsyncClient) -> None:
    document = (await viewer.get("/openapi.json")).json()
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in schemas
    assert "HTTPValidationError" not in text
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert "application/problem+json" in operation["responses"]["404"]["content"]
    assert "{event}" not in json.dumps(document["paths"]["/v1/jobs"])
    secured = [
        path for path, m in document["paths"].items() if "security" in next(iter(m.values()))
    ]
    anybodys = {"/v1/playback/{event}", "/.well-known/jwks.json"}
    assert set(document["paths"]) - set(secured) == anybodys


async def test_operations_paths(viewer: httpx2.AsyncClient) -> None:
    ready = await viewer.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {"ready": False, "checks": {"database": "ok", "bus": "no bus here"}}
    assert (await viewer.get("/healthz")).status_code == 200
    metrics = (await viewer.get("/metrics")).text
    assert 'livepath_control_request_seconds_count{method="GET",route="/readyz"' in metrics


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/events", {"GET", "POST"}),
        ("PUT", "/v1/events/ev_1", {"GET", "PATCH", "DELETE"}),
        ("PATCH", "/v1/keys/key_1", {"GET", "DELETE"}),
        ("DELETE", "/healthz", {"GET"}),
    ],
)
async def test_a_method_that_is_none_of_the_paths_names_all_that_are(
    api: httpx2.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    response = await api.request(method, path)
    assert problem(response)["status"] == 405
    assert set(response.headers["Allow"].split(", ")) - {"HEAD"} == allowed


async def test_the_description_names_what_becomes_of_a_bad_body_and_where_null_is_none(
    api: httpx2.AsyncClient,
) -> None:
    document = (await api.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            told = {"400", "413"} <= operation["responses"].keys()
            assert told == ("requestBody" in operation), f"{method} {path}"
    fields = document["components"]["schemas"]["EventPatch"]["properties"]
    assert {"type": "null"} in fields["starts_at"]["anyOf"]
    assert fields["takeover"]["type"] == "boolean"


@pytest.mark.parametrize("value", [False, "3600", 3600.5])
async def test_a_number_is_no_truth_value_and_no_text(
    api: httpx2.AsyncClient, value: object
) -> None:
    response = await api.post("/v1/events", json={"name": "x", "dvr_window_s": value})
    assert problem(response)["errors"][0]["where"] == "body.dvr_window_s"
