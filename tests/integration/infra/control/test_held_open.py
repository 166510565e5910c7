"""Open streams end with what their key opens, and no others do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy.event import listen, remove

from infra.control.callers import Caller
from infra.control.held_open import HeldOpen
from infra.control.streaming import Listener
from infra.db.control import ApiKey
from infra.outbox.catalogue import NoticeType
from infra.outbox.numbering import number
from infra.outbox.recording import Notice, record
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration
PATHS = ("/v1/stream", "/v1/readings/stream")


@pytest.fixture
async def looking(deployment: Deployment) -> AsyncIterator[None]:
    """What a control process runs for its streams."""
    context = deployment.context
    tasks = [
        asyncio.create_task(context.streams.run()),
        asyncio.create_task(
            context.held_open.run(deployment.databases.reading, deployment.clock, interval_s=0.02)
        ),
    ]
    yield
    for task in tasks:
        task.cancel()


@dataclass
class Open:
    """A stream, and its lines so far."""

    lines: AsyncIterator[str]

    async def opened(self) -> None:
        """Its first event is there."""
        while await anext(self.lines):
            pass

    async def rest(self) -> list[str]:
        """What comes until it ends."""
        async with asyncio.timeout(30):
            return [line async for line in self.lines]


class Client:
    def __init__(self, url: str, streams: AsyncExitStack) -> None:
        self._url = url
        self._streams = streams

    async def ask(self, secret: str, path: str) -> int:
        async with httpx2.AsyncClient(base_url=self._url, verify=NO_TLS) as client:
            answer = await client.get(path, headers={"Authorization": f"Bearer {secret}"})
            return answer.status_code

    async def open(self, secret: str, path: str, **headers: str) -> Open:
        client = await self._streams.enter_async_context(
            httpx2.AsyncClient(base_url=self._url, verify=NO_TLS, timeout=30)
        )
        headers["Authorization"] = f"Bearer {secret}"
        response = await self._streams.enter_async_context(
            client.stream("GET", path, headers=headers)
        )
        assert response.status_code == 200, await response.aread()
        return Open(response.aiter_lines())


@pytest.fixture
async def client(served: str, looking: None) -> AsyncIterator[Client]:
    async with AsyncExitStack() as streams:
        yield Client(served, streams)


async def make(api: httpx2.AsyncClient, **fields: Any) -> tuple[str, str]:
    """A new key's id and secret."""
    scopes = ["stream:read", "events:read"]
    answer = await api.post("/v1/keys", json={"name": "listener", "scopes": scopes, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.json()["secret"]


def happen(deployment: Deployment, *kinds: NoticeType) -> None:
    with deployment.session() as session, session.begin():
        for kind in kinds:
            record(session, Notice("default", "ev_1", kind, {}), deployment.now_ms)
        number(session, "default", 1000)


@pytest.mark.parametrize("path", PATHS)
async def test_a_revoked_key_gets_no_more_and_others_do(
    api: httpx2.AsyncClient, client: Client, deployment: Deployment, path: str
) -> None:
    key, secret = await make(api)
    stream, other = await client.open(secret, path), await client.open(KEY, "/v1/stream")
    await other.opened()
    assert (await api.delete(f"/v1/keys/{key}")).status_code in (200, 204)
    await stream.rest()
    assert await client.ask(secret, path) == 401
    happen(deployment, NoticeType.EVENT_LIVE)
    async with asyncio.timeout(30):
        assert await anext(other.lines) == "event: event.live"


@pytest.mark.parametrize("path", PATHS)
async def test_an_expired_key_gets_no_more(
    api: httpx2.AsyncClient, client: Client, deployment: Deployment, path: str
) -> None:
    key, secret = await make(api)
    with deployment.session() as session, session.begin():
        session.get_one(ApiKey, key).expires_ms = deployment.now_ms + 1_000
    stream = await client.open(secret, path)
    deployment.now_ms += 1_000
    await stream.rest()
    assert await client.ask(secret, path) == 401


async def test_a_replaced_secret_gets_no_more_when_its_grace_is_over(
    api: httpx2.AsyncClient, client: Client, deployment: Deployment
) -> None:
    key, secret = await make(api)
    stream = await client.open(secret, "/v1/stream")
    await stream.opened()
    rotated = await api.post(f"/v1/keys/{key}/rotate", json={"grace_s": 60})
    new = await client.open(rotated.json()["secret"], "/v1/stream")
    await new.opened()
    happen(deployment, NoticeType.EVENT_LIVE)
    async with asyncio.timeout(30):
        assert await anext(stream.lines) == "event: event.live"
    deployment.now_ms += 60_000
    assert "event: event.ended" not in await stream.rest()
    happen(deployment, NoticeType.EVENT_ENDED)
    async with asyncio.timeout(30):
        while await anext(new.lines) != "event: event.ended":
            pass


async def test_who_catches_up_gets_no_more_either(deployment: Deployment) -> None:
    happen(deployment, *[NoticeType.EVENT_LIVE] * 4)
    streams = deployment.context.streams
    listener = await streams.join("default", 0)
    got = []
    async for message in streams.messages(listener):
        got.append(message.sequence)
        if message.sequence == 2:
            listener.refuse()
    assert got == [1, 2]
    streams.leave(listener)


async def test_one_question_is_for_all_streams(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    held, listeners = HeldOpen(), [Listener("default", 0) for _ in range(20)]
    for one in listeners:
        held.add(Caller("key_absent", "", "", "default", frozenset(), False, False, None), one)
    asked = 0

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal asked
        asked += statement.startswith("SELECT")

    engine = deployment.databases.writing.kw["bind"].sync_engine
    listen(engine, "before_cursor_execute", count)
    await held.look(deployment.databases.reading, deployment.now_ms)
    await held.look(deployment.databases.reading, deployment.now_ms)
    remove(engine, "before_cursor_execute", count)
    # Nobody is left to ask for.
    assert asked == 1
    assert all(one.refused for one in listeners)


async def test_nobody_is_let_go_while_the_database_is_away(deployment: Deployment) -> None:
    held, listener, looks = HeldOpen(), Listener("default", 0), asyncio.Semaphore(0)
    held.add(Caller("key_absent", "", "", "default", frozenset(), False, False, None), listener)

    def away() -> Any:
        looks.release()
        raise OSError("connection refused")

    running = asyncio.create_task(held.run(away, deployment.clock, interval_s=0))  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        for _ in range(3):
            await looks.acquire()
    running.cancel()
    assert not listener.refused
    listener.end()
