"""`livepath keys`: API keys from a terminal, over the control API."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.api import api, example, first, group, option
from infra.cli.output import AsJson, Limit, print_json, print_line, print_table, when
from infra.cli.times import moment, whole_seconds

if TYPE_CHECKING:
    from infra.client.models import Key, NewKey

app = group("API keys: what they may do and for how long; make, rotate and revoke them.")

KeyId = Annotated[str, typer.Argument(help="Id of the key, as `livepath keys ls` shows it.")]
KEY = "key_2kq5mzx7c3v4b6n7a8sd"


@app.command(
    epilog=example("livepath keys create 'chat server' --scope events:read --scope markers:write")
)
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="For people.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do, such as events:read; once for each.")
    ],
    *,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 2031-01-01T00:00:00Z, or +90d.")
    ] = None,
    organisation_wide: Annotated[
        bool, typer.Option("--organisation-wide", help="Opens every project.")
    ] = False,
    installation_wide: Annotated[
        bool, typer.Option("--installation-wide", help="Makes organisations as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key; its secret is shown this once."""
    ends = None
    if expires is not None:
        now = datetime.now(UTC)
        ends = option("--expires", lambda: moment(expires, None, now))
    with api(context) as client:
        made = client.keys.create(
            name,
            scope,
            expires_at=ends,
            organisation_wide=organisation_wide,
            installation_wide=installation_wide,
        )
    _show_secret(made, as_json)


@app.command("ls", epilog=example("livepath keys ls"))
def list_keys(context: typer.Context, limit: Limit = 50, *, as_json: AsJson = False) -> None:
    """Keys of the project, newest first."""
    with api(context) as client:
        found = first(limit, client.keys.list)
    if as_json:
        print_json(found)
        return
    print_table(
        ("key", "name", "scopes", "opens", "created", "last used", "ends"),
        [
            (
                one.id,
                one.name,
                " ".join(one.scopes),
                _opens(one),
                when(one.created_at),
                when(one.last_used_at) or "never",
                _ends(one),
            )
            for one in found
        ],
    )


@app.command(epilog=example(f"livepath keys rotate {KEY} --grace 1h"))
def rotate(
    context: typer.Context,
    key: KeyId,
    grace: Annotated[
        str, typer.Option(help="For how long the old secret is good as well, such as 1h.")
    ] = "0",
    *,
    as_json: AsJson = False,
) -> None:
    """Replace a key's secret; the new one is shown this once."""
    grace_s = option("--grace", lambda: whole_seconds(grace))
    with api(context) as client:
        made = client.keys.rotate(key, grace_s=grace_s)
    _show_secret(made, as_json)


@app.command(epilog=example(f"livepath keys revoke {KEY}"))
def revoke(
    context: typer.Context,
    keys: Annotated[list[str], typer.Argument(help="Ids of keys.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Have keys open nothing any more."""
    with api(context) as client:
        for key in keys:
            gone = client.keys.revoke(key)
            if as_json:
                print_line(gone)
            else:
                print(f"{key}: revoked {when(gone.revoked_at)}")


def _opens(key: "Key") -> str:
    if key.installation_wide:
        return "every project, organisations"
    return "every project" if key.organisation_wide else key.project


def _ends(key: "Key") -> str:
    return f"revoked {when(key.revoked_at)}" if key.revoked_at else when(key.expires_at)


def _show_secret(made: "NewKey", as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        print(f"{made.id}\n{made.secret}")
