"""The media nodes as control knows them: who is there, who carries an event, who shall be emptied.

Invariant: nobody waits for the bus to learn where an event is: that is what nodes told within the
last `EVERY_S`, and while the bus is away what they told last. What is wanted of a node is on the
bus when the answer leaves.

Upstream: `routes.nodes`, and routes that hand out addresses of live events. Downstream:
`infra.events.nodes_bus`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog
from redis.asyncio import Redis

from infra.control.links import FEED, Links
from infra.control.problems import Conflict, NotFound, Unavailable
from infra.errors import BusUnavailable
from infra.events.bus import Backoff
from infra.events.nodes import EVERY_S, NodePresence, NodeWish, Publishers
from infra.events.nodes_bus import present, want

_log = structlog.get_logger(__name__)


class Nodes:
    """See the module for the invariant; one `run()`. Without a client there are no nodes."""

    def __init__(self, client: Redis | None = None) -> None:
        self._client = client
        self._known: Sequence[NodePresence] = ()

    async def run(self) -> None:
        """Until cancelled, through outages of the bus."""
        backoff = Backoff()
        while self._client is not None:
            try:
                self._known = await present(self._client)
            except BusUnavailable as error:
                _log.debug("nodes are not heard of", problem=str(error))
                await asyncio.sleep(backoff.pause())
                continue
            backoff.reset()
            await asyncio.sleep(EVERY_S)

    def links(self, links: Links, project: str, event: str) -> Links:
        """`links` with the address of the node that carries the event, if it has one."""
        url = address_of(f"{project}/{event}/{FEED}", self._known)
        return links if url is None else replace(links, media_url=url)

    async def list(self) -> Sequence[NodePresence]:
        """Every node that is there now, by name."""
        if self._client is None:
            return []
        try:
            return await present(self._client)
        except BusUnavailable as error:
            raise _unavailable() from error

    async def get(self, name: str) -> NodePresence:
        """A node that is there now."""
        return find(name, await self.list())

    async def drain(
        self, node: NodePresence, publishers: Publishers, hls_after_s: int
    ) -> NodePresence:
        """Have its viewers, and if wanted its publishers, go elsewhere; nobody comes any more."""
        wish = NodeWish(boot=node.boot, drain=True, publishers=publishers, hls_after_s=hls_after_s)
        return await self._want(node, wish)

    async def undrain(self, node: NodePresence) -> NodePresence:
        """Have it take viewers and publishers again."""
        return await self._want(node, NodeWish(boot=node.boot, drain=False))

    async def _want(self, node: NodePresence, wish: NodeWish) -> NodePresence:
        if self._client is None:
            raise _unavailable()
        try:
            await want(self._client, node.node, wish)
        except BusUnavailable as error:
            raise _unavailable() from error
        moves = wish.drain and wish.publishers == "move"
        return node.model_copy(update={"draining": wish.drain, "publishers_move": moves})


def address_of(key: str, nodes: Sequence[NodePresence]) -> str | None:
    """Base URL of the node that has the programme: live rather than waiting for its publisher, and
    one that stays rather than one that is drained. Among equals the one that has had it longest, so
    that players who ask again are not sent to and fro."""
    ranked = [
        (not each.live, one.draining, each.since_ms, one.node, one.url)
        for one in nodes
        if one.url
        for each in one.programmes
        if each.key == key
    ]
    return min(ranked)[-1] if ranked else None


def find(name: str, nodes: Sequence[NodePresence]) -> NodePresence:
    """The node of that name; raises `NotFound`."""
    for one in nodes:
        if one.node == name:
            return one
    raise no_such_node()


def no_such_node() -> NotFound:
    return NotFound(
        "there is no such media node, or it has not been heard of for some seconds",
        "GET /v1/nodes lists those that are there, to keys of the whole installation; a node is "
        "called as its LIVEPATH_NODE says.",
    )


def require_another(name: str, nodes: Sequence[NodePresence]) -> None:
    """Raises `Conflict` where publishers who leave the node would find no other one."""
    if not any(one.node != name and not one.draining for one in nodes):
        raise Conflict(
            "there is no other media node that takes publishers",
            'Start one first, or send {"publishers": "stay"}.',
        )


def _unavailable() -> Unavailable:
    return Unavailable(
        "the bus does not answer, so nodes can be neither seen nor told anything",
        "Repeat the request in a few seconds; events that run are not affected.",
    )
