"""Two media processes on one bus: a programme goes from one to the other, and is one programme."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from infra.events.bus import connect
from infra.events.nodes import NodePresence, NodeWish
from infra.events.nodes_bus import present, want
from infra.manifest import SessionManifest
from tests.support.aiortc_client import viewing
from tests.support.desired import say
from tests.support.medianode import MediaProcess, encoding, event, key_of, srt_url
from tests.support.valkey import ValkeyServer, free_port

pytestmark = pytest.mark.integration
WANTED = event(reconnect_window_s=60)
KEY = key_of(WANTED)
A, B = "media-a", "media-b"
PATIENCE_S = 30.0


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    folder = tmp_path / "bus"
    folder.mkdir()
    with ValkeyServer(folder) as server:
        yield server


@pytest.fixture
def nodes(tmp_path: Path, valkey: ValkeyServer) -> Iterator[dict[str, MediaProcess]]:
    say(valkey, WANTED)
    made = {}
    with ExitStack() as stack:
        for name in (A, B):
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            node = MediaProcess(tmp_path / name, bus_url=valkey.url, node=name, node_url=url)
            node.http_port = port
            made[name] = stack.enter_context(node)
            node.start()
        yield made


async def told(valkey: ValkeyServer, name: str, **wanted: Any) -> NodePresence:
    """What the node tells of itself, once it is so."""
    client = connect(valkey.url)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for one in await present(client):
                    known = {field: getattr(one, field) for field in wanted}
                    if one.node == name and known == wanted:
                        return one
                await asyncio.sleep(0.1)
    finally:
        await client.aclose()


async def carried(valkey: ValkeyServer, name: str, live: bool | None) -> NodePresence:
    """The node, once it has the programme live, or waiting, or (None) not at all."""
    while True:
        found = await told(valkey, name)
        states = [one.live for one in found.programmes]
        if states == ([] if live is None else [live]):
            return found
        await asyncio.sleep(0.1)


async def drain(valkey: ValkeyServer, **wanted: Any) -> None:
    client = connect(valkey.url)
    found = await told(valkey, A)
    await want(client, A, NodeWish(boot=found.boot, drain=True, **wanted))
    await client.aclose()


async def test_a_drained_node_hands_its_programme_on(
    nodes: dict[str, MediaProcess], valkey: ValkeyServer
) -> None:
    first, second = nodes[A], nodes[B]
    async with asyncio.timeout(4 * PATIENCE_S):
        with encoding(srt_url(first, WANTED)):
            await carried(valkey, A, True)
            await asyncio.to_thread(first.until, KEY, lambda playlist: len(playlist.segments) >= 2)
            before = first.checkpoint(KEY)
            assert first.get("/readyz").status_code == 200
            await drain(valkey, publishers="move")
            await told(valkey, A, draining=True, publishers_move=True)
            unready = first.get("/readyz")
            assert (unready.status_code, "drained" in unready.text) == (503, True)
            await carried(valkey, A, False)
        with encoding(srt_url(second, WANTED)):
            await carried(valkey, B, True)
            await carried(valkey, A, None)
            after = second.checkpoint(KEY)
            assert after["previous"] == [before["incarnation"]]
            assert after["epoch_ns"] == before["epoch_ns"]
            playlist = await asyncio.to_thread(
                second.until, KEY, lambda playlist: bool(playlist.segments)
            )
            assert playlist.segments[0].msn >= before["msn_reserved"]
    manifest = first.spool(KEY, before["incarnation"]) / "manifest.json"
    assert not SessionManifest.model_validate_json(manifest.read_text()).final
    ended = [record for record in first.log if record.get("event") == "program.ended"]
    assert (ended, first.troubles(), second.troubles()) == ([], [], [])
    # It is another life that is not drained, and has nothing left of it.
    assert first.terminate() == 0
    first.start()
    await told(valkey, A, draining=False, programmes=())


async def test_no_session_stays_on_a_drained_node(
    nodes: dict[str, MediaProcess], valkey: ValkeyServer
) -> None:
    first = nodes[A]
    async with asyncio.timeout(4 * PATIENCE_S):
        with encoding(srt_url(first, WANTED)):
            await carried(valkey, A, True)
            url = f"http://127.0.0.1:{first.http_port}/live/{KEY}/whep"
            async with viewing(url, leaves=False) as viewer:
                await viewer.frames("video", 5)
                await told(valkey, A, viewers=1, publishers=1)
                await drain(valkey, hls_after_s=0)
                await told(valkey, A, viewers=0, publishers=1)
