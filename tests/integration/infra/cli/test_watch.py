"""`livepath events watch`: what happens is written down, and the end of it ends the command."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from infra.cli import watching
from infra.cli.screens import Found
from infra.cli.watching import Watching
from infra.client import AsyncClient, NotFound, Retries
from infra.client.models import Message
from infra.lifecycle import Trigger
from infra.outbox.numbering import number
from tests.integration.infra.cli.terminal import Process
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_job, advance
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration


class Seen:
    """A screen that keeps what it was told."""

    def __init__(self) -> None:
        self.types: list[str] = []
        self.states: list[str] = []
        self.jobs: list[str] = []
        self.reasons: list[str] = []
        self.changed = asyncio.Event()

    def heard(self, message: Message) -> None:
        self.types.append(message.type)

    def found(self, found: Found) -> None:
        self.states.append(found.event.state)
        self.jobs = [job.function for job in found.jobs]
        self.changed.set()

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)
        self.changed.set()


class Shaky(httpx2.AsyncHTTPTransport):
    """Loses every connection while it is down."""

    down = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.down:
            raise httpx2.ConnectError("nobody is there")
        return await super().handle_async_request(request)


@pytest.fixture
async def streams(deployment: Deployment) -> AsyncIterator[None]:
    running = asyncio.create_task(deployment.context.streams.run())
    yield
    deployment.context.streams.close()
    running.cancel()


@pytest.fixture
def transport() -> Shaky:
    return Shaky(verify=NO_TLS)


@pytest.fixture
async def client(served: str, transport: Shaky) -> AsyncIterator[AsyncClient]:
    retries = Retries(attempts=2, first_s=0.01, longest_s=0.02)
    async with AsyncClient(served, KEY, retries=retries, transport=transport) as made:
        yield made


def tell(deployment: Deployment) -> None:
    """Number what was recorded, as the relay does."""
    with deployment.session() as session, session.begin():
        number(session, "default", 1000)
    deployment.context.streams.ring()


@pytest.mark.usefixtures("streams")
async def test_an_event_is_followed_until_a_state(
    deployment: Deployment,
    client: AsyncClient,
    transport: Shaky,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "EVERY_S", 0.05)
    event = await client.events.create("e")
    add_job(deployment, event.id)
    tell(deployment)
    seen = Seen()
    async with asyncio.timeout(20):
        watched = Watching(client, event.id, seen, {"live"}, after="0")
        running = asyncio.create_task(watched.run())
        await seen.changed.wait()
        transport.down = True
        while not seen.reasons:
            await asyncio.sleep(0.01)
        transport.down = False
        advance(deployment, event.id, Trigger.PROGRAM_LIVE)
        tell(deployment)
        await running
    assert seen.types == ["event.created", "event.live"]
    assert (seen.states[0], seen.states[-1]) == ("scheduled", "live")
    assert seen.jobs == ["archive"]
    assert "nobody is there" in seen.reasons[0]


@pytest.mark.usefixtures("streams")
async def test_what_cannot_be_watched_is_said(client: AsyncClient) -> None:
    with pytest.raises(NotFound):
        await Watching(client, "ev_none", Seen(), {"live"}).run()


@pytest.mark.usefixtures("streams")
async def test_lines_are_written_until_the_end_and_documents_until_ctrl_c(
    served: str, deployment: Deployment, client: AsyncClient
) -> None:
    event = await client.events.create("e")
    tell(deployment)
    async with asyncio.timeout(40):
        lines = await Process.start(served, KEY, "events", "watch", event.id, "--after", "0")
        documents = await Process.start(
            served, KEY, "events", "watch", event.id, "--after", "0", "--json"
        )
        # What was found and what is heard come in either order.
        begun = await lines.line() + await lines.line()
        assert "e: scheduled" in begun
        assert "event.created" in begun
        first = json.loads(await documents.line())
        await client.events.cancel(event.id)
        tell(deployment)
        assert json.loads(await documents.line())["type"] == "event.cancelled"
        status, rest, said = await documents.interrupt()
        ended, out, _ = await lines.end()
    assert (first["type"], first["sequence"]) == ("event.created", "1")
    assert (status, rest, "Traceback" in said) == (130, "", False)
    assert (ended, "scheduled → cancelled" in out) == (0, True)
