"""`livepath nodes` against an API on a real socket, and nodes that tell of themselves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from infra.control.nodes import Nodes
from infra.events.bus import connect
from infra.events.nodes import NodePresence
from infra.events.nodes_bus import tell
from tests.integration.infra.cli.terminal import Terminal
from tests.integration.infra.control.conftest import KEY, OTHER_KEY, Deployment
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
MEDIA = NodePresence(node="media-a", boot="1", url="https://a.example", viewers=1)


@pytest.fixture
async def bus(valkey: ValkeyServer, deployment: Deployment) -> AsyncIterator[Redis]:
    client = connect(valkey.url)
    deployment.app.state.context = replace(deployment.context, nodes=Nodes(client))
    yield client
    await client.aclose()


@pytest.fixture
def nodes(served: str, tmp_path: Path) -> Terminal:
    return Terminal("nodes", served, KEY, tmp_path)


@asynccontextmanager
async def living(bus: Redis) -> AsyncIterator[None]:
    """A node that does as it is wanted, and whose viewers do."""

    done = asyncio.Event()

    async def live() -> None:
        mine = MEDIA
        while not done.is_set():
            wish = await tell(bus, mine)
            drain = wish is not None and wish.drain
            mine = MEDIA.model_copy(update={"draining": drain, "viewers": 0 if drain else 1})
            await asyncio.sleep(0.05)

    life = asyncio.create_task(live())
    try:
        yield
    finally:
        done.set()
        await life


async def test_a_node_is_seen_emptied_and_taken_back(bus: Redis, nodes: Terminal) -> None:
    async with living(bus):
        while "serving" not in "".join(await nodes.lines("ls")):
            await asyncio.sleep(0.05)
        listed = (await nodes.lines("ls"))[1].split()
        assert listed == ["media-a", "serving", "0", "0", "1", "https://a.example"]
        waited = await nodes.lines("drain", "media-a", "--hls-after", "1m", "--wait")
        assert "state       empty" in waited
        found = json.loads((await nodes.run("ls", "--json")).output)
        assert [(one["name"], one["draining"]) for one in found] == [("media-a", True)]
        assert "state       serving" in await nodes.lines("undrain", "media-a")


async def test_refusals_are_said_with_what_to_do(bus: Redis, nodes: Terminal) -> None:
    async with living(bus):
        while len(await nodes.lines("ls")) < 2:
            await asyncio.sleep(0.05)
        alone = await nodes.run("drain", "media-a", "--publishers")
        assert (alone.exit_code, "no other media node" in alone.output) == (1, True)
        unknown = await nodes.run("drain", "media-z")
        assert (unknown.exit_code, "no such media node" in unknown.output) == (1, True)
        tenant = await nodes.run("ls", LIVEPATH_API_KEY=OTHER_KEY)
        assert (tenant.exit_code, "whole installation" in tenant.output) == (1, True)
