"""`livepath orgs`: organisations, who own projects, over the control API."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.api import api, example, first, group
from infra.cli.output import AsJson, Limit, print_fields, print_json, print_table, when
from infra.cli.projects import show_projects

if TYPE_CHECKING:
    from infra.client.models import Organisation

app = group("Organisations, who own projects; with a key of the whole organisation.")
ORG = "org_2kq5mzx7c3v4b6n7a8sd"
OrgId = Annotated[
    str, typer.Argument(help="Id of the organisation, as `livepath orgs ls` shows it.")
]
Name = Annotated[str, typer.Argument(help="For people.")]


@app.command(epilog=example("livepath orgs create 'Ski club' --first-project Races"))
def create(
    context: typer.Context,
    name: Name,
    *,
    project: Annotated[
        str | None,
        typer.Option("--first-project", help="Its name; default: that of the organisation."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an organisation, with a project and a key whose secret is shown this once.

    Needs a key of the whole installation, as the first one is.
    """
    with api(context) as client:
        made = client.organisations.create(name, project=project)
    if as_json:
        print_json(made)
        return
    print_fields(
        {
            "organisation": made.id,
            "name": made.name,
            "project": made.project.id,
            "key": made.key.id,
            "secret": made.key.secret,
        }
    )


@app.command("ls", epilog=example("livepath orgs ls"))
def list_organisations(
    context: typer.Context, limit: Limit = 50, *, as_json: AsJson = False
) -> None:
    """Organisations that the key opens, newest first."""
    with api(context) as client:
        found = first(limit, client.organisations.list)
    if as_json:
        print_json(found)
        return
    print_table(
        ("organisation", "name", "created"),
        [(one.id, one.name, when(one.created_at)) for one in found],
    )


@app.command(epilog=example(f"livepath orgs show {ORG}"))
def show(context: typer.Context, organisation: OrgId, *, as_json: AsJson = False) -> None:
    """One organisation."""
    with api(context) as client:
        _show(client.organisations.get(organisation), as_json)


@app.command(epilog=example(f"livepath orgs rename {ORG} 'Ski and board club'"))
def rename(
    context: typer.Context, organisation: OrgId, name: Name, *, as_json: AsJson = False
) -> None:
    """Give an organisation another name; its id stays."""
    with api(context) as client:
        _show(client.organisations.rename(organisation, name), as_json)


@app.command(epilog=example(f"livepath orgs projects {ORG}"))
def projects(
    context: typer.Context, organisation: OrgId, limit: Limit = 50, *, as_json: AsJson = False
) -> None:
    """The organisation's projects, newest first."""
    with api(context) as client:
        show_projects(first(limit, client.organisations.projects, organisation), as_json)


def _show(organisation: "Organisation", as_json: bool) -> None:
    if as_json:
        print_json(organisation)
        return
    print_fields(
        {
            "organisation": organisation.id,
            "name": organisation.name,
            "created": when(organisation.created_at),
        }
    )
