"""Media nodes over the API: seen, emptied, taken back; and the addresses of events they carry."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from infra.control.bootstrap import add_api_key
from infra.control.nodes import Nodes
from infra.db.audit import AuditEntry
from infra.events.bus import connect
from infra.events.nodes import NodePresence, NodeWish, ProgrammePresence
from infra.events.nodes_bus import leave, tell
from tests.integration.infra.control.conftest import Deployment
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration
TENANTS_KEY = "lp_of_a_whole_organisation"


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    made = connect(valkey.url)
    yield made
    await made.aclose()


@pytest.fixture
async def nodes(deployment: Deployment, client: Redis) -> Nodes:
    made = Nodes(client)
    deployment.app.state.context = replace(deployment.context, nodes=made)
    return made


def media(name: str, *keys: str, live: bool = True, **changes: object) -> NodePresence:
    programmes = tuple(ProgrammePresence(key=key, live=live) for key in keys)
    given = {"node": name, "boot": "1", "url": f"https://{name}.example", "programmes": programmes}
    return NodePresence.model_validate(given | changes)


async def test_nodes_are_listed_as_they_told_of_themselves(
    nodes: Nodes, client: Redis, api: httpx2.AsyncClient
) -> None:
    await tell(client, media("media-b", url="", viewers=2))
    await tell(client, media("media-a", "p/e/main", publishers=1))
    listed = (await api.get("/v1/nodes")).json()["items"]
    assert [(one["name"], one["url"], one["events"]) for one in listed] == [
        ("media-a", "https://media-a.example", 1),
        ("media-b", None, 0),
    ]
    assert [one["empty"] for one in listed] == [False, False]
    assert "p/e" not in str(listed)  # what events there are is their projects' own
    await leave(client, "media-b")
    assert (await api.get("/v1/nodes/media-b")).status_code == 404
    assert (await api.get("/v1/nodes/media-a")).json() == listed[0]


async def test_a_drain_reaches_the_life_of_the_node_that_was_seen(
    nodes: Nodes, client: Redis, api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    mine = media("media-a")
    assert await tell(client, mine) is None
    answer = await api.put("/v1/nodes/media-a/drain", json={"hls_after_s": 5})
    assert answer.status_code == 202
    assert answer.json()["draining"]
    assert await tell(client, mine) == NodeWish(boot="1", drain=True, hls_after_s=5)
    assert (await api.delete("/v1/nodes/media-a/drain")).json()["draining"] is False
    assert await tell(client, mine) == NodeWish(boot="1", drain=False)
    with deployment.reading() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    done = {(one.operation, one.outcome, one.objects.get("node")) for one in entries}
    assert {("drain_node", "done", "media-a"), ("undrain_node", "done", "media-a")} <= {
        (operation.partition("_v1_")[0], outcome, node) for operation, outcome, node in done
    }


async def test_publishers_are_sent_away_only_where_they_find_another_node(
    nodes: Nodes, client: Redis, api: httpx2.AsyncClient
) -> None:
    await tell(client, media("media-a"))
    away = {"publishers": "move"}
    refused = await api.put("/v1/nodes/media-a/drain", json=away)
    assert (refused.status_code, "no other media node" in refused.json()["detail"]) == (409, True)
    assert "stay" in refused.json()["fix"]
    await tell(client, media("media-b", draining=True))
    assert (await api.put("/v1/nodes/media-a/drain", json=away)).status_code == 409
    await tell(client, media("media-b"))
    told = (await api.put("/v1/nodes/media-a/drain", json=away)).json()
    assert (told["draining"], told["publishers_move"]) == (True, True)


async def test_nodes_are_for_keys_of_the_installation_alone(
    nodes: Nodes, client: Redis, deployment: Deployment
) -> None:
    await tell(client, media("media-a"))
    with deployment.session() as session, session.begin():
        add_api_key(session, "other", TENANTS_KEY, "tenant", deployment.now_ms)
    async with deployment.client(TENANTS_KEY) as tenant:
        refused = await tenant.get("/v1/nodes")
        assert (refused.status_code, "whole installation" in refused.json()["fix"]) == (403, True)
        for answer in (
            await tenant.get("/v1/nodes/media-a"),
            await tenant.put("/v1/nodes/media-a/drain", json={}),
            await tenant.delete("/v1/nodes/media-a/drain"),
        ):
            assert answer.status_code == 404
            assert "whole installation" in answer.json()["fix"]
    assert await tell(client, media("media-a")) is None


async def test_without_a_bus_nodes_are_out_of_reach(
    valkey: ValkeyServer, nodes: Nodes, client: Redis, api: httpx2.AsyncClient
) -> None:
    await tell(client, media("media-a"))
    valkey.stop()
    try:
        for answer in (
            await api.get("/v1/nodes"),
            await api.put("/v1/nodes/media-a/drain", json={}),
        ):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    finally:
        valkey.start()


async def test_players_are_led_to_the_node_that_has_the_event(
    nodes: Nodes, client: Redis, api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = (await api.post("/v1/events", json={"name": "x"})).json()["id"]
    key = f"default/{event}/main"

    async def address() -> str | None:
        """None: it changed between two requests."""
        playback = (await api.get(f"/v1/playback/{event}")).json()
        token = (await api.post(f"/v1/events/{event}/tokens", json={})).json()
        bare = {playback["hls_url"], playback["whep_url"]}
        bare |= {
            token[name].replace(f"/t/{token['token']}", "") for name in ("hls_url", "whep_url")
        }
        bases = {url.partition(f"/live/{key}/")[0] for url in bare}
        return bases.pop() if len(bases) == 1 else None

    assert await address() == "http://media.test"
    following = asyncio.create_task(nodes.run())

    async def led_to(expected: str, *told: NodePresence) -> None:
        async with asyncio.timeout(10):
            while await address() != expected:
                for one in told:
                    await tell(client, one)
                await asyncio.sleep(0.05)

    await led_to("https://media-b.example", media("media-a"), media("media-b", key))
    await led_to("https://media-a.example", media("media-a", key))
    waiting = media("media-a", key, live=False)
    await led_to("https://media-b.example", waiting)
    await led_to("https://media-a.example", waiting, media("media-b"))
    await led_to(
        "https://media-b.example", media("media-a", key, draining=True), media("media-b", key)
    )
    await led_to("http://media.test", media("media-a"), media("media-b"))
    following.cancel()
    await asyncio.wait([following])
