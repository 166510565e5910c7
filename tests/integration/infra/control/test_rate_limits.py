"""Rate limits on a real Valkey: who is counted, what the answers say, and life without it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from redis.asyncio import Redis

from infra.control.limits import AT_ONCE, Limits, Quota
from infra.events.bus import connect
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.support.databases import emptied_sqlite
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
PER_KEY, PER_IP = 5, 3


@pytest.fixture
def migrated_url(sqlite_folder: Path) -> str:
    """Limits know nothing of databases: one kind is enough."""
    return emptied_sqlite(sqlite_folder)


@pytest.fixture
async def bus(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    async with connect(valkey.url) as client:
        yield client


@pytest.fixture
def limited(deployment: Deployment, bus: Redis) -> Deployment:
    limits = Limits(bus, per_key=PER_KEY, per_ip=PER_IP)
    deployment.app.state.context = replace(deployment.context, limits=limits)
    return deployment


async def test_a_key_has_its_quota(limited: Deployment, other: httpx2.AsyncClient) -> None:
    async with limited.client(KEY) as client:
        for left in reversed(range(PER_KEY)):
            response = await client.get("/v1/events")
            assert response.status_code == 200
            assert response.headers["RateLimit-Policy"] == '"key";q=5;w=60'
            assert response.headers["RateLimit"].startswith(f'"key";r={left};t=')
            assert "Retry-After" not in response.headers
        refused = await client.post("/v1/events", json={"name": "x"})
    assert refused.status_code == 429
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "Retry-After" in refused.json()["fix"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 12
    assert refused.headers["RateLimit"].startswith('"key";r=0;t=')
    # Another key is another client.
    assert (await other.get("/v1/events")).status_code == 200


async def test_an_address_without_a_key_has_its_quota(
    limited: Deployment, viewer: httpx2.AsyncClient, api: httpx2.AsyncClient
) -> None:
    guesses = [
        await viewer.get("/v1/events", headers={"Authorization": f"Bearer guess{n}"})
        for n in range(2)
    ]
    assert [one.status_code for one in guesses] == [401, 401]
    assert guesses[1].headers["RateLimit"].startswith('"ip";r=1;')
    assert (await viewer.get("/v1/playback/ev_absent")).status_code == 404
    for path in ("/v1/events", "/v1/playback/ev_absent", "/v1/publish/ev_absent"):
        refused = await viewer.get(path)
        assert refused.status_code == 429
        assert refused.json()["type"] == "urn:livepath:problem:too-many-requests"
    # A valid key is not counted by address, and neither are pages and probes.
    assert (await api.get("/v1/events")).status_code == 200
    assert (await viewer.get("/healthz")).status_code == 200
    assert (await viewer.get("/clock")).status_code == 200


async def test_what_was_used_comes_back(bus: Redis) -> None:
    limits = Limits(bus)
    quota = Quota("test", requests=2, window_s=1)
    verdicts = [await limits._of(quota, "x") for _ in range(3)]
    assert [one is not None and one.allowed for one in verdicts] == [True, True, False]
    last = verdicts[2]
    assert last is not None
    assert 0 < last.retry_ms <= 500
    async with asyncio.timeout(10):
        while True:
            again = await limits._of(quota, "x")
            assert again is not None
            if again.allowed:
                return
            await asyncio.sleep(again.retry_ms / 1000)


async def test_a_crowd_shares_few_connections(bus: Redis, valkey: ValkeyServer) -> None:
    limits = Limits(bus, per_key=1_000)
    verdicts = await asyncio.gather(*(limits.take_key("k") for _ in range(500)))
    assert all(verdict is not None and verdict.allowed for verdict in verdicts)
    with valkey.client() as looking:
        assert len(looking.client_list()) <= AT_ONCE + 1


async def test_processes_count_together(bus: Redis, valkey: ValkeyServer) -> None:
    async with connect(valkey.url) as second:
        one, two = Limits(bus, per_key=20), Limits(second, per_key=20)
        verdicts = await asyncio.gather(
            *(limits.take_key("k") for limits in (one, two) for _ in range(15))
        )
    assert sum(1 for verdict in verdicts if verdict is not None and verdict.allowed) == 20


async def test_nobody_waits_for_a_valkey_that_hangs(
    limited: Deployment, api: httpx2.AsyncClient, valkey: ValkeyServer
) -> None:
    assert (await api.get("/v1/events")).status_code == 200
    with valkey.frozen():
        response = await api.get("/v1/events")
    assert response.status_code == 200
    assert "RateLimit" not in response.headers


async def test_without_valkey_requests_pass(
    limited: Deployment, api: httpx2.AsyncClient, valkey: ValkeyServer
) -> None:
    valkey.stop()
    for _ in range(PER_KEY + 2):
        response = await api.get("/v1/events")
        assert response.status_code == 200
        assert "RateLimit" not in response.headers
    metrics = (await api.get("/metrics")).text
    (line,) = [
        one for one in metrics.splitlines()
        if one.startswith("livepath_control_unlimited_requests_total ")
    ]  # fmt: skip
    assert float(line.split()[1]) >= PER_KEY + 2
