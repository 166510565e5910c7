"""`livepath nodes`: the media nodes of an installation, and emptying one, over the control API."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli import times
from infra.cli.api import api, example, group, option
from infra.cli.event_work import WaitTimeout
from infra.cli.output import AsJson, print_fields, print_json, print_table

if TYPE_CHECKING:
    from infra.client.models import Node

app = group("Media nodes: which there are, and emptying one; with a key of the installation.")
NodeName = Annotated[str, typer.Argument(help="Name of the node, as `livepath nodes ls` shows it.")]


@app.command("ls", epilog=example("livepath nodes ls"))
def list_nodes(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Media nodes that are there, by name."""
    with api(context) as client:
        found = client.nodes.list().items
    if as_json:
        print_json(found)
        return
    print_table(
        ("node", "state", "events", "publishers", "WebRTC viewers", "address"),
        [
            (
                one.name,
                _state(one),
                str(one.events),
                str(one.publishers),
                str(one.viewers),
                one.url or "",
            )
            for one in found
        ],
    )


@app.command(epilog=example("livepath nodes drain media-a --publishers --wait"))
def drain(
    context: typer.Context,
    node: NodeName,
    *,
    publishers: Annotated[
        bool,
        typer.Option(
            "--publishers",
            help="Disconnect publishers as well, for their encoders to come to another node.",
        ),
    ] = False,
    hls_after: Annotated[
        str,
        typer.Option(help="When viewers go on by LL-HLS for whom no other node has the event."),
    ] = "30s",
    wait: Annotated[bool, typer.Option("--wait", help="Until the node can be stopped.")] = False,
    timeout: WaitTimeout = "10m",
    as_json: AsJson = False,
) -> None:
    """Have a node's viewers go elsewhere without a gap, and take nobody any more.

    It holds until the node's process ends: after that it takes viewers again.
    """
    hls_after_s = option("--hls-after", lambda: times.whole_seconds(hls_after))
    timeout_s = option("--timeout", lambda: times.seconds(timeout))
    with api(context) as client:
        told = client.nodes.drain(
            node, publishers="move" if publishers else "stay", hls_after_s=hls_after_s
        )
        if wait:
            told = client.nodes.wait_until_empty(node, timeout_s=timeout_s)
    _show(told, as_json)


@app.command(epilog=example("livepath nodes undrain media-a"))
def undrain(context: typer.Context, node: NodeName, *, as_json: AsJson = False) -> None:
    """Have a node take viewers and publishers again; who has left does not come back."""
    with api(context) as client:
        _show(client.nodes.undrain(node), as_json)


def _state(node: "Node") -> str:
    if not node.draining:
        return "serving"
    return "empty" if node.empty else "draining"


def _show(node: "Node", as_json: bool) -> None:
    if as_json:
        print_json(node)
        return
    print_fields(
        {
            "node": node.name,
            "state": _state(node),
            "events": str(node.events),
            "publishers": str(node.publishers),
            "viewers": f"{node.viewers} by WebRTC",
            "address": node.url,
        }
    )
