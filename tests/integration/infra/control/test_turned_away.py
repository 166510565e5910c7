"""Who is refused again and again costs the database nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.event import listen, remove

from infra.control import turned_away
from infra.control.bootstrap import add_api_key
from infra.control.limits import Limits, Quota, Verdict
from infra.control.turned_away import TurnedAway
from infra.events.bus import connect
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
UNKNOWN = "lp_a_key_that_nobody_has_made"


@pytest.fixture
def statements(deployment: Deployment) -> Iterator[list[str]]:
    """Those that the database was asked with."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    engine = deployment.databases.writing.kw["bind"].sync_engine
    listen(engine, "before_cursor_execute", note)
    yield asked
    remove(engine, "before_cursor_execute", note)


@pytest.fixture
async def bus(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    async with connect(valkey.url) as client:
        yield client


async def test_an_unknown_key_is_looked_up_once_and_counted_every_time(
    deployment: Deployment, bus: Redis, statements: list[str]
) -> None:
    limits = Limits(bus, per_ip=3)
    deployment.app.state.context = replace(deployment.context, limits=limits)
    async with deployment.client(UNKNOWN) as client:
        answers = [await client.get("/v1/events") for _ in range(5)]
    assert [one.status_code for one in answers] == [401, 401, 401, 429, 429]
    problems = [one.json()["detail"] for one in answers]
    assert len(set(problems[:3])) == 1
    assert len(statements) == 1


async def test_a_key_over_its_quota_is_not_looked_up(
    deployment: Deployment, bus: Redis, statements: list[str]
) -> None:
    limits = Limits(bus, per_key=2)
    deployment.app.state.context = replace(deployment.context, limits=limits)
    async with deployment.client(KEY) as client:
        for _ in range(2):
            assert (await client.get("/v1/events")).status_code == 200
        first = await client.get("/v1/events")
        statements.clear()
        for _ in range(3):
            again = await client.get("/v1/events")
            assert (again.status_code, again.json()["title"]) == (429, first.json()["title"])
            assert again.headers["RateLimit-Policy"] == '"key";q=2;w=60'
            assert 1 <= int(again.headers["Retry-After"]) <= int(first.headers["Retry-After"])
        assert statements == []
        # Whom nobody turned away goes on.
        async with deployment.client(UNKNOWN) as stranger:
            assert (await stranger.get("/v1/events")).status_code == 401


async def test_a_key_whose_time_has_come_passes(deployment: Deployment, bus: Redis) -> None:
    context = replace(deployment.context, limits=Limits(bus, per_key=2))
    context.limits._per_key = Quota("key", requests=2, window_s=1)
    deployment.app.state.context = context
    async with deployment.client(KEY) as client, asyncio.timeout(30):
        while (await client.get("/v1/events")).status_code == 200:
            pass
        while (answer := await client.get("/v1/events")).status_code == 429:
            await asyncio.sleep(0.01)
    assert answer.status_code == 200


async def test_a_key_made_meanwhile_opens_at_once(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    async with deployment.client(UNKNOWN) as stranger:
        assert (await stranger.get("/v1/events")).status_code == 401
    made = (await api.post("/v1/keys", json={"name": "x", "scopes": ["events:read"]})).json()
    async with deployment.client(made["secret"]) as client:
        assert (await client.get("/v1/events")).status_code == 200
        rotated = (await api.post(f"/v1/keys/{made['id']}/rotate", json={})).json()
        assert (await client.get("/v1/events")).status_code == 401
    async with deployment.client(rotated["secret"]) as client:
        assert (await client.get("/v1/events")).status_code == 200


async def test_a_key_from_a_file_that_another_process_reads_opens_soon(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turned_away, "UNKNOWN_S", 0.2)
    async with deployment.client(UNKNOWN) as client, asyncio.timeout(30):
        assert (await client.get("/v1/events")).status_code == 401
        with deployment.session() as session, session.begin():
            add_api_key(session, "default", UNKNOWN, "file", deployment.now_ms)
        while (await client.get("/v1/events")).status_code == 401:
            await asyncio.sleep(0.01)
        assert (await client.get("/v1/events")).status_code == 200


async def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turned_away, "REMEMBERED", 3)
    monkeypatch.setattr(turned_away, "UNKNOWN_S", 3_600.0)
    away = TurnedAway()
    for digest in "abcad":
        away.note_unknown(digest)
    assert [away.is_unknown(digest) for digest in "abcd"] == [True, False, True, True]


async def test_what_is_left_to_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(turned_away, "_now_s", lambda: now_s)
    away, limits = TurnedAway(), Limits()
    quota = Quota("key", 2)
    away.note_over_quota("a", Verdict(quota, False, 0, retry_ms=30_000, reset_ms=60_000))
    now_s += 10
    verdict = away.over_quota("a", limits)
    assert verdict == Verdict(quota, False, 0, retry_ms=20_000, reset_ms=50_000)
    now_s += 20
    assert away.over_quota("a", limits) is None
