"""Media nodes on the bus: each tells of itself every second, and reads what is wanted of it.

Invariant: a node that has told nothing for `KEPT_S` is not there, by the bus's own clock. Nothing
takes a wish back but another one, so a bus that has lost its data changes nothing at the nodes.

    SET     livepath:nodes             names of nodes
    STRING  livepath:node:{node}       its `NodePresence` as JSON, gone after `KEPT_S`
    STRING  livepath:node-wish:{node}  the last `NodeWish` as JSON

Upstream: `hotpath.node.neighbours`, `infra.control.nodes`. Both read what the other one writes.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from redis.asyncio import Redis

from infra.events.bus import bus_errors
from infra.events.nodes import KEPT_S, NodePresence, NodeWish

NAMES = "livepath:nodes"
MOST_BYTES = 4 * 1024 * 1024
P = TypeVar("P", bound=BaseModel)


def _presence(node: str) -> str:
    return f"livepath:node:{node}"


def _wish(node: str) -> str:
    return f"livepath:node-wish:{node}"


def _parsed(model: type[P], raw: str | bytes | None) -> P | None:
    """None: there is none, or none that can be read."""
    if raw is None or len(raw) > MOST_BYTES:
        return None
    try:
        return model.model_validate_json(raw)
    except ValidationError:
        return None


async def tell(client: Redis, mine: NodePresence) -> NodeWish | None:
    """Tell of a node, and hear what is wanted of it. Raises `BusUnavailable`."""
    async with bus_errors(), client.pipeline(transaction=False) as pipe:
        pipe.sadd(NAMES, mine.node)
        pipe.set(_presence(mine.node), mine.model_dump_json(), ex=KEPT_S)
        pipe.get(_wish(mine.node))
        *_, wish = await pipe.execute()
    return _parsed(NodeWish, wish)


async def leave(client: Redis, node: str) -> None:
    """The node stops: it is not there any more. Raises `BusUnavailable`."""
    async with bus_errors():
        await client.delete(_presence(node))


async def present(client: Redis) -> Sequence[NodePresence]:
    """Every node that is there, by name. Raises `BusUnavailable`."""
    async with bus_errors():
        members: Any = await client.smembers(NAMES)
        names = sorted(members)
        found: Any = await client.mget([_presence(name) for name in names]) if names else []
    nodes = (_parsed(NodePresence, raw) for raw in found)
    return [one for one in nodes if one is not None]


async def want(client: Redis, node: str, wish: NodeWish) -> None:
    """What is wanted of a node from now on. Raises `BusUnavailable`."""
    async with bus_errors():
        await client.set(_wish(node), wish.model_dump_json())
