"""`/v1/stream`: public events as they happen, from any number on, to any number of listeners."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from sqlalchemy.event import listen as listens_for
from sqlalchemy.event import remove

from infra.control import streaming
from infra.control.streaming import Listener, Streams
from infra.db.outbox import OutboxMessage
from infra.outbox.catalogue import NoticeType
from infra.outbox.message import Message
from infra.outbox.numbering import number
from infra.outbox.recording import Notice, record
from infra.outbox.relay import DAY_MS, Relay
from tests.integration.infra.control.conftest import KEY, OTHER_KEY, Deployment
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration
LIVE, ENDED, DEAD = NoticeType.EVENT_LIVE, NoticeType.EVENT_ENDED, NoticeType.JOB_DEAD


def happen(
    deployment: Deployment, *kinds: NoticeType, project: str = "default", event: str = "ev_1"
) -> None:
    with deployment.session() as session, session.begin():
        for kind in kinds:
            record(session, Notice(project, event, kind, {}), deployment.now_ms)
        number(session, project, 1000)


@dataclass
class Heard:
    """One event of a stream."""

    id: str | None = None
    event: str | None = None
    data: Any = None


@pytest.fixture
async def base_url(deployment: Deployment) -> AsyncIterator[str]:
    """A real server: an in-process client would wait for the end of the stream."""
    config = uvicorn.Config(
        deployment.app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    streams = deployment.context.streams
    running = asyncio.create_task(streams.run())
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    streams.close()
    server.should_exit = True
    await serving
    running.cancel()


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url=base_url, verify=NO_TLS, headers={"Authorization": f"Bearer {KEY}"}, timeout=20
    ) as made:
        yield made


async def heard(response: httpx2.Response) -> AsyncIterator[Heard]:
    """The events of a stream; comments are left out."""
    found = Heard()
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if not line:
            yield found
            found = Heard()
        elif name == "data":
            found.data = json.loads(value)
        elif name in ("id", "event"):
            setattr(found, name, value)


async def listen(
    client: httpx2.AsyncClient, count: int, last: str | None = None, **query: str
) -> list[Heard]:
    """The first events of a stream, the opening one among them."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.stream("GET", "/v1/stream", headers=headers, params=query) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        got = []
        async for one in heard(response):
            got.append(one)
            if len(got) == count:
                break
        return got


async def test_a_listener_hears_what_happens_from_now_on(
    client: httpx2.AsyncClient, deployment: Deployment
) -> None:
    happen(deployment, LIVE)
    async with client.stream("GET", "/v1/stream") as response:
        following = heard(response)
        assert (await anext(following)).id == "1"
        happen(deployment, ENDED)
        happen(deployment, DEAD, project="other")
        deployment.context.streams.ring()
        one = await anext(following)
    assert (one.id, one.event) == ("2", "event.ended")
    with deployment.reading() as session:
        row = session.query(OutboxMessage).filter_by(sequence=2, project="default").one()
    assert (one.data["id"], one.data["type"], one.data["event"]) == (row.id, row.type, "ev_1")


async def test_a_listener_goes_on_where_it_was(
    client: httpx2.AsyncClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PAGE", 3)
    happen(deployment, *[LIVE, ENDED] * 4)
    opening, *rest = await listen(client, 6, last="3")
    assert (opening.id, opening.data) == ("3", None)
    assert [one.id for one in rest] == ["4", "5", "6", "7", "8"]
    [ahead] = await listen(client, 1, last="999")
    assert ahead.id == "8"


async def test_a_listener_chooses(client: httpx2.AsyncClient, deployment: Deployment) -> None:
    happen(deployment, LIVE, DEAD, ENDED)
    happen(deployment, LIVE, event="ev_2")
    chosen = await listen(client, 4, last="0", types="event.*")
    assert [one.id for one in chosen[1:]] == ["1", "3", "4"]
    of_one = await listen(client, 3, last="0", types="event.live, job.dead", event="ev_1")
    assert [one.id for one in of_one[1:]] == ["1", "2"]


async def test_a_filter_that_lets_nothing_through_tells_how_far_it_is(
    client: httpx2.AsyncClient, deployment: Deployment
) -> None:
    happen(deployment, *[LIVE] * 100, DEAD)
    _, passed, dead = await listen(client, 3, last="0", types="job.*")
    assert (passed.id, passed.event, passed.data) == ("100", None, None)
    assert (dead.id, dead.event) == ("101", "job.dead")


async def test_what_is_no_longer_kept_is_said(
    client: httpx2.AsyncClient, deployment: Deployment
) -> None:
    happen(deployment, LIVE, LIVE)
    deployment.now_ms += 3 * DAY_MS
    happen(deployment, ENDED)
    databases = deployment.databases
    relay = Relay(
        databases.writing, databases.reading, lambda *_: None, lambda: None, deployment.clock
    )
    assert await relay.forget(2) == 2
    _, gap, one = await listen(client, 3, last="1")
    assert (gap.event, gap.id) == ("stream.gap", None)
    assert one.id == "3"
    [_, no_gap] = await listen(client, 2, last="2")
    assert no_gap.id == "3"


async def test_requests_that_cannot_be_used(client: httpx2.AsyncClient) -> None:
    for query, headers in (
        ({"types": "event.nothing"}, {}),
        ({"types": ""}, {}),
        ({}, {"Last-Event-ID": "x"}),
        ({}, {"Last-Event-ID": "9" * 16}),
    ):
        answer = await client.get("/v1/stream", params=query, headers=headers)
        assert (answer.status_code, bool(answer.json()["fix"])) == (422, True)
    anonymous = await client.get("/v1/stream", headers={"Authorization": "Bearer nobody"})
    assert anonymous.status_code == 401


async def test_projects_do_not_hear_each_other(
    base_url: str, client: httpx2.AsyncClient, deployment: Deployment
) -> None:
    happen(deployment, LIVE)
    happen(deployment, ENDED, project="other")
    theirs = {"Authorization": f"Bearer {OTHER_KEY}"}
    async with httpx2.AsyncClient(base_url=base_url, verify=NO_TLS, headers=theirs) as other:
        _, one = await listen(other, 2, last="0")
    assert one.data["project"] == "other"
    _, mine = await listen(client, 2, last="0")
    assert mine.data["project"] == "default"


async def test_one_reader_serves_all_listeners(deployment: Deployment) -> None:
    streams = Streams(deployment.databases.reading)
    listeners = [await streams.join("default", None) for _ in range(20)]
    happen(deployment, LIVE, ENDED)
    queries = 0

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal queries
        queries += statement.startswith("SELECT")

    engine = deployment.databases.reading.kw["bind"].sync_engine
    listens_for(engine, "before_cursor_execute", count)
    await streams.look()
    remove(engine, "before_cursor_execute", count)
    assert queries <= 2
    for listener in listeners:
        first, second = await listener.next(), await listener.next()
        assert first is not None
        assert second is not None
        assert (first.sequence, second.sequence) == (1, 2)
        streams.leave(listener)


async def test_a_listener_that_takes_nothing_is_let_go_and_loses_nothing(
    deployment: Deployment,
) -> None:
    streams = Streams(deployment.databases.reading)
    slow = await streams.join("default", None)
    happen(deployment, *[LIVE] * (streaming.QUEUED + 10))
    await streams.look()
    got = [message.sequence async for message in _queued(slow)]
    assert got == list(range(1, streaming.QUEUED + 1))
    streams.leave(slow)
    again = await streams.join("default", slow.sequence)
    rest = []
    async for message in streams.messages(again):
        rest.append(message.sequence)
        if len(rest) == 10:
            break
    assert rest == list(range(streaming.QUEUED + 1, streaming.QUEUED + 11))
    streams.leave(again)


async def _queued(listener: Listener) -> AsyncIterator[Message]:
    while (message := await listener.next()) is not None:
        yield message


async def test_what_is_numbered_while_a_listener_catches_up_comes_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PAGE", 2)
    streams = Streams(deployment.databases.reading)
    happen(deployment, *[LIVE] * 4)
    listener = await streams.join("default", 0)
    got = []
    async for message in streams.messages(listener):
        got.append(message.sequence)
        if message.sequence in (1, 4):
            happen(deployment, ENDED)
            await streams.look()
        if len(got) == 6:
            break
    assert got == [1, 2, 3, 4, 5, 6]
    streams.leave(listener)


async def test_a_stream_ends_when_the_database_is_away_and_none_begins(
    client: httpx2.AsyncClient, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise OSError("connection refused")

    streams = deployment.context.streams
    listener = await streams.join("default", None)
    monkeypatch.setattr(streaming, "after", away)
    assert [message async for message in streams.messages(listener)] == []
    streams.leave(listener)
    monkeypatch.setattr(streaming, "heads", away)
    answer = await client.get("/v1/stream")
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


async def test_there_is_room_for_so_many(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MOST_OF_PROJECT", 1)
    streams = Streams(deployment.databases.reading)
    first = await streams.join("default", None)
    with pytest.raises(streaming.TooManyListeners):
        await streams.join("default", None)
    streams.leave(first)
    streams.leave(await streams.join("default", None))
