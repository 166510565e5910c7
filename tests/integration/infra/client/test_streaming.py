"""The client follows the real stream, and goes on where it stood."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from infra.client import AsyncClient, Forbidden
from infra.outbox.catalogue import NoticeType
from infra.outbox.numbering import number
from infra.outbox.recording import Notice, record
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration
LIVE, ENDED, DEAD = NoticeType.EVENT_LIVE, NoticeType.EVENT_ENDED, NoticeType.JOB_DEAD


def happen(deployment: Deployment, *kinds: NoticeType) -> None:
    with deployment.session() as session, session.begin():
        for kind in kinds:
            record(session, Notice("default", "ev_1", kind, {"n": 1}), deployment.now_ms)
        number(session, "default", 1000)
    deployment.context.streams.ring()


@pytest.fixture
async def follower(deployment: Deployment, served: str) -> AsyncIterator[AsyncClient]:
    running = asyncio.create_task(deployment.context.streams.run())
    transport = httpx2.AsyncHTTPTransport(verify=NO_TLS)
    async with AsyncClient(served, KEY, transport=transport) as client:
        yield client
    deployment.context.streams.close()
    running.cancel()


async def test_messages_come_from_where_the_listener_stood(
    follower: AsyncClient, deployment: Deployment
) -> None:
    happen(deployment, LIVE, DEAD, ENDED)
    async with asyncio.timeout(20):
        following = follower.stream(types=["event.*"], last_event_id="0")
        live = await anext(following)
        assert (live.type, live.event, live.data, live.sequence) == (LIVE, "ev_1", {"n": 1}, "1")
        assert live.timestamp is not None
        assert (await anext(following)).type == ENDED
        happen(deployment, LIVE)
        assert (await anext(following)).sequence == "4"
        again = follower.stream(last_event_id=live.sequence)
        assert [(await anext(again)).sequence for _ in range(3)] == ["2", "3", "4"]
        await again.aclose()
        await following.aclose()


async def test_a_key_that_may_not_listen_is_told(follower: AsyncClient, served: str) -> None:
    weak = await follower.keys.create("weak", ["events:read"])
    transport = httpx2.AsyncHTTPTransport(verify=NO_TLS)
    async with AsyncClient(served, weak.secret, transport=transport) as client:
        with pytest.raises(Forbidden, match="stream:read"):
            await anext(client.stream())
