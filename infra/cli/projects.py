"""`livepath projects`: the tenants of an organisation, over the control API."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.api import api, example, first, group
from infra.cli.output import AsJson, Limit, print_fields, print_json, print_table, when

if TYPE_CHECKING:
    from infra.client.models import Project

app = group("Projects of the organisation: each has events, keys and secrets of its own.")
PROJECT = "prj_2kq5mzx7c3v4b6n7a8sd"
ProjectId = Annotated[
    str, typer.Argument(help="Id of the project, as `livepath projects ls` shows it.")
]
Name = Annotated[str, typer.Argument(help="For people.")]


@app.command(epilog=example("livepath projects create Football"))
def create(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Make a project; needs a key of the whole organisation."""
    with api(context) as client:
        _show(client.projects.create(name), as_json)


@app.command("ls", epilog=example("livepath projects ls"))
def list_projects(context: typer.Context, limit: Limit = 50, *, as_json: AsJson = False) -> None:
    """Projects that the key opens, newest first."""
    with api(context) as client:
        show_projects(first(limit, client.projects.list), as_json)


@app.command(epilog=example(f"livepath projects show {PROJECT}"))
def show(context: typer.Context, project: ProjectId, *, as_json: AsJson = False) -> None:
    """One project."""
    with api(context) as client:
        _show(client.projects.get(project), as_json)


@app.command(epilog=example(f"livepath projects rename {PROJECT} Rugby"))
def rename(
    context: typer.Context, project: ProjectId, name: Name, *, as_json: AsJson = False
) -> None:
    """Give a project another name; its id stays."""
    with api(context) as client:
        _show(client.projects.rename(project, name), as_json)


def show_projects(found: "list[Project]", as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_table(
        ("project", "name", "organisation", "created"),
        [(one.id, one.name, one.organisation, when(one.created_at)) for one in found],
    )


def _show(project: "Project", as_json: bool) -> None:
    if as_json:
        print_json(project)
        return
    print_fields(
        {
            "project": project.id,
            "name": project.name,
            "organisation": project.organisation,
            "created": when(project.created_at),
        }
    )
