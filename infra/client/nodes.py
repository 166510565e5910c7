"""`client.nodes`: the media nodes of an installation."""

from collections.abc import Callable

from infra.client.calls import Call, Wait
from infra.client.groups import Group, W, operation, waiting
from infra.client.models import Node, NodeList

NODES, NODE = "/v1/nodes", "/v1/nodes/{node}"


class Nodes(Group[W]):
    """Media nodes; for keys of the whole installation."""

    @operation
    def list(self) -> Call[NodeList]:
        return Call("GET", NODES, NodeList)

    @operation
    def get(self, node: str) -> Call[Node]:
        return Call("GET", NODE, Node, {"node": node})

    @operation
    def drain(self, node: str, *, publishers: str = "stay", hls_after_s: int = 30) -> Call[Node]:
        """Have its viewers, and if wanted its publishers, go elsewhere; follow `empty`."""
        body = {"publishers": publishers, "hls_after_s": hls_after_s}
        return Call("PUT", NODE + "/drain", Node, {"node": node}, body=body)

    @operation
    def undrain(self, node: str) -> Call[Node]:
        return Call("DELETE", NODE + "/drain", Node, {"node": node})

    @waiting
    def wait_until_empty(
        self,
        node: str,
        *,
        timeout_s: float = 600,
        every_s: float = 1,
        seen: Callable[[Node], None] | None = None,
    ) -> Wait[Node]:
        """The node once it is drained and has nobody left; `seen` is told of it each time that it
        is looked at."""
        return Wait(
            Call("GET", NODE, Node, {"node": node}),
            _drained,
            f"node {node} to be empty",
            every_s,
            timeout_s,
            seen,
        )


def _drained(node: Node) -> bool:
    return node.draining and node.empty
