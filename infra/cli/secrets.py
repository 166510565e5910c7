"""`livepath secrets`: what stream keys and viewer tokens come from, over the control API."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.api import api, example, group
from infra.cli.output import AsJson, print_json, print_line, print_table, when

if TYPE_CHECKING:
    from infra.client.models import Secret

app = group("Secrets of the project, which stream keys and viewer tokens come from: replace them.")


@app.command(epilog=example("livepath secrets create"))
def create(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Make the next secret; new events and viewer tokens use it at once."""
    with api(context) as client:
        made = client.secrets.create()
    if as_json:
        print_json(made)
    else:
        _show([made])


@app.command("ls", epilog=example("livepath secrets ls"))
def list_secrets(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Secrets of the project by name, the one that signs first."""
    with api(context) as client:
        found = client.secrets.all().items
    if as_json:
        print_json(found)
    else:
        _show(found)


@app.command(epilog=example("livepath secrets retire k1"))
def retire(
    context: typer.Context,
    kids: Annotated[
        list[str], typer.Argument(help="Names of secrets, as `livepath secrets ls` shows them.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Have what secrets have signed open nothing any more: viewer tokens, stream keys."""
    with api(context) as client:
        known = {one.kid: one for one in client.secrets.all().items}
        for kid in kids:
            client.secrets.retire(kid)
            if as_json and kid in known:
                print_line(known[kid])
            else:
                print(f"{kid}: retired")


def _show(secrets: "Sequence[Secret]") -> None:
    print_table(
        ("secret", "signs", "open events", "created"),
        [
            (one.kid, "yes" if one.signs else "", str(one.open_events), when(one.created_at))
            for one in secrets
        ],
    )
