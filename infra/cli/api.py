"""What the commands over the control API share: its address and key, calls, lists and tables.

Upstream: `infra.cli.jobs`, `infra.cli.keys`. Downstream: any deployment's control API; this process
imports no plane.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.table import Table

PAGE = 100

Limit = Annotated[int, typer.Option(help="Rows at most.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document in place of a table.")]


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is and what opens it."""

    url: str
    key: str | None
    data_dir: Path
    project: str | None


def access(
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="LIVEPATH_API_URL", help="The control API.")
    ] = "http://127.0.0.1:8080",
    key: Annotated[
        str | None,
        typer.Option(envvar="LIVEPATH_API_KEY", help="API key; default: that of --data-dir."),
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(envvar="LIVEPATH_DATA_DIR", help="Where `livepath up` keeps its key.")
    ] = Path("livepath-data"),
    project: Annotated[
        str | None,
        typer.Option(envvar="LIVEPATH_PROJECT", help="For a key of the whole organisation."),
    ] = None,
) -> None:
    """Options of every command of this group."""
    # Who asks a command for its help needs no key.
    context.obj = Access(url, key or None, data_dir, project or None)


def call(
    context: typer.Context,
    method: str,
    path: str,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Any:
    """The answer's JSON; a refusal ends the command with its words."""
    given: Access = context.obj
    headers = {"Authorization": f"Bearer {_key_of(given)}"}
    if given.project is not None:
        headers["Livepath-Project"] = given.project
    try:
        with httpx2.Client(base_url=given.url, headers=headers, timeout=10) as client:
            response = client.request(method, path, params=query, json=body)
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        raise stop(f"{given.url} does not answer: {error}; is LIVEPATH_API_URL right?") from error
    if response.is_error:
        raise stop(_problem(response))
    return response.json()


def items_of(
    context: typer.Context, path: str, query: Mapping[str, Any], limit: int
) -> Iterator[dict[str, Any]]:
    """At most `limit` items of a list, over its pages."""
    given = {name: value for name, value in query.items() if value is not None}
    after: str | None = None
    while limit > 0:
        page = given | {"limit": min(PAGE, limit)} | ({} if after is None else {"after": after})
        found = call(context, "GET", path, page)
        yield from found["items"]
        limit -= len(found["items"])
        after = found["next"]
        if after is None:
            return


def stop(words: str) -> typer.Exit:
    print(words, file=sys.stderr)
    return typer.Exit(1)


def print_json(found: Any) -> None:
    print(json.dumps(found, indent=2))


def terminal() -> Console:
    # Through a pipe lines are as long as they are, so that grep finds what people look for.
    return Console() if sys.stdout.isatty() else Console(width=250)


def new_table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _key_of(given: Access) -> str:
    file = given.data_dir / "api-key"
    try:
        return given.key or file.read_text().strip()
    except OSError as error:
        raise stop(
            f"no API key: set LIVEPATH_API_KEY, or --data-dir to the folder of `livepath up` "
            f"({file}: {error.strerror})"
        ) from error


def _problem(response: httpx2.Response) -> str:
    try:
        told = response.json()
        return f"{told['detail']}. {told['fix']}"
    except (ValueError, KeyError, TypeError):
        return f"the API answered {response.status_code}: {response.text[:200]}"
