"""Media nodes as the API takes and shows them. No event is named: they are their projects'."""

from pydantic import Field

from infra.control.schemas import In, Out
from infra.events.nodes import NodePresence, Publishers

MAX_HLS_AFTER_S = 24 * 3600


class NodeDrain(In):
    """How a node is emptied."""

    publishers: Publishers = Field(
        "stay",
        description="`stay`: publishers stay, and come back, until their events end. `move`: they "
        "are disconnected, for their encoders to come to another node.",
    )
    hls_after_s: int = Field(
        30,
        ge=0,
        le=MAX_HLS_AFTER_S,
        description="Seconds after which WebRTC viewers go on by LL-HLS for whom no other node has "
        "the event.",
    )


class NodeOut(Out):
    name: str = Field(examples=["media-a"])
    url: str | None = Field(
        description="Base URL of this node alone, as viewers reach it; null: it has none, and "
        "viewers are never led to it from another node.",
        examples=["https://media-a.example"],
    )
    draining: bool = Field(description="It takes no further viewer and no further event.")
    publishers_move: bool = Field(description="It takes no publisher at all.")
    publishers: int = Field(description="That are connected.")
    viewers: int = Field(description="WebRTC sessions.")
    events: int = Field(description="That are on the air here, or wait for their publisher.")
    empty: bool = Field(description="Nobody notices if it is stopped now, except LL-HLS players.")


class NodeList(Out):
    items: list[NodeOut] = Field(description="By name.")


def node_out(node: NodePresence) -> NodeOut:
    return NodeOut(
        name=node.node,
        url=node.url or None,
        draining=node.draining,
        publishers_move=node.publishers_move,
        publishers=node.publishers,
        viewers=node.viewers,
        events=len(node.programmes),
        empty=not (node.publishers or node.viewers or node.programmes),
    )
