"""`/v1/nodes`: the media nodes of the installation, and emptying one of them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from infra.control.dependencies import Change, Context, KeyHolder, TheCaller
from infra.control.node_schemas import NodeDrain, NodeList, NodeOut, node_out
from infra.control.nodes import Nodes, find, no_such_node, require_another
from infra.control.problems import Outranked

router = APIRouter(prefix="/v1/nodes", tags=["nodes"])

PathNode = Annotated[str, Path(description="Name of the node.", examples=["media-a"])]


async def _all_nodes(caller: TheCaller, _alone: KeyHolder, context: Context) -> Nodes:
    if not caller.installation_wide:
        raise Outranked(
            "media nodes belong to the whole installation",
            "Ask with a key of the whole installation.",
        )
    return context.nodes


async def _some_node(caller: TheCaller, _alone: KeyHolder, context: Context) -> Nodes:
    """As for everything that is not one's own: there is no such node."""
    if not caller.installation_wide:
        raise no_such_node()
    return context.nodes


AllNodes = Annotated[Nodes, Depends(_all_nodes, scope="function")]
SomeNode = Annotated[Nodes, Depends(_some_node, scope="function")]


@router.get("", summary="The media nodes that are there")
async def list_nodes(nodes: AllNodes) -> NodeList:
    """As each told of itself a second ago. Needs a key of the whole installation, as all of these
    do. One that has been silent for six seconds is left out."""
    return NodeList(items=[node_out(one) for one in await nodes.list()])


@router.get("/{node}", summary="One media node")
async def get_node(node: PathNode, nodes: SomeNode) -> NodeOut:
    return node_out(await nodes.get(node))


@router.put("/{node}/drain", status_code=202, summary="Empty a media node, so that it can stop")
async def drain_node(node: PathNode, wanted: NodeDrain, nodes: SomeNode, change: Change) -> NodeOut:
    """It takes nobody any more, and its WebRTC viewers go on, without a gap, at another node that
    has their event, else by LL-HLS. Follow `empty`. It holds until the node's process ends."""
    there = await nodes.list()
    found = find(node, there)
    if wanted.publishers == "move":
        require_another(node, there)
    async with change():
        told = await nodes.drain(found, wanted.publishers, wanted.hls_after_s)
    return node_out(told)


@router.delete("/{node}/drain", status_code=202, summary="Take a media node into service again")
async def undrain_node(node: PathNode, nodes: SomeNode, change: Change) -> NodeOut:
    """Who has left does not come back by itself."""
    found = await nodes.get(node)
    async with change():
        told = await nodes.undrain(found)
    return node_out(told)
