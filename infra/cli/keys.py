"""`livepath keys`: API keys from a terminal, over the control API.

Upstream: people. Downstream: any deployment's control API.
"""

from typing import Annotated, Any

import typer
from rich.markup import escape

from infra.cli.api import AsJson, Limit, access, call, items_of, new_table, print_json, terminal

app = typer.Typer(
    help="API keys: what they may do and for how long; make, rotate and revoke them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.callback()(access)

KeyId = Annotated[str, typer.Argument(help="Id of the key, as `livepath keys ls` shows it.")]


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="For people.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do, such as events:read; once for each.")
    ],
    *,
    expires: Annotated[str | None, typer.Option(help="RFC 3339, 2031-01-01T00:00:00Z.")] = None,
    organisation_wide: Annotated[
        bool, typer.Option("--organisation-wide", help="Opens every project.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key; its secret is shown this once."""
    body = {"name": name, "scopes": scope, "organisation_wide": organisation_wide}
    if expires is not None:
        body["expires_at"] = expires
    _show_secret(call(context, "POST", "/v1/keys", body=body), as_json)


@app.command("ls")
def list_keys(context: typer.Context, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Keys of the project, newest first."""
    items = list(items_of(context, "/v1/keys", {}, limit))
    if as_json:
        print_json(items)
        return
    table = new_table("key", "name", "scopes", "opens", "created", "last used", "ends")
    for one in items:
        table.add_row(
            one["id"],
            escape(one["name"]),
            " ".join(one["scopes"]),
            "every project" if one["organisation_wide"] else one["project"],
            one["created_at"],
            one["last_used_at"] or "never",
            f"revoked {one['revoked_at']}" if one["revoked_at"] else one["expires_at"] or "",
        )
    terminal().print(table)


@app.command()
def rotate(
    context: typer.Context,
    key: KeyId,
    grace: Annotated[
        int, typer.Option(help="Seconds for which the old secret is good as well.", min=0)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Replace a key's secret; the new one is shown this once."""
    made = call(context, "POST", f"/v1/keys/{key}/rotate", body={"grace_s": grace})
    _show_secret(made, as_json)


@app.command()
def revoke(
    context: typer.Context, keys: Annotated[list[str], typer.Argument(help="Ids of keys.")]
) -> None:
    """Have keys open nothing any more."""
    for key in keys:
        print(f"{key}: revoked {call(context, 'DELETE', f'/v1/keys/{key}')['revoked_at']}")


def _show_secret(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    print(f"{made['id']}\n{made['secret']}")
