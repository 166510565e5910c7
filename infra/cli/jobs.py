"""`livepath jobs`: the cold path's jobs from a terminal, over the control API.

Upstream: people. Downstream: any deployment's control API; this process imports no plane.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

app = typer.Typer(
    help="Jobs of the cold path: what runs, what failed and why; retry and cancel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PAGE = 100
_STYLES = {"succeeded": "green", "running": "cyan", "retrying": "yellow", "dead": "bold red"}

Limit = Annotated[int, typer.Option(help="Rows at most.", min=1)]
Event = Annotated[str | None, typer.Option(help="Only jobs of this event.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document in place of a table.")]
JobId = Annotated[str, typer.Argument(help="Id of the job, as `livepath jobs ls` shows it.")]


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is and what opens it."""

    url: str
    key: str | None
    data_dir: Path


@app.callback()
def _access(
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
) -> None:
    """Options of every command of this group."""
    # Who asks a command for its help needs no key.
    context.obj = Access(url, key or None, data_dir)


def _key_of(access: Access) -> str:
    file = access.data_dir / "api-key"
    try:
        return access.key or file.read_text().strip()
    except OSError as error:
        raise _stop(
            f"no API key: set LIVEPATH_API_KEY, or --data-dir to the folder of `livepath up` "
            f"({file}: {error.strerror})"
        ) from error


@app.command()
def functions(context: typer.Context, as_json: AsJson = False) -> None:
    """Every function of the installation, what starts it, and its terms."""
    items = _call(context, "GET", "/v1/functions")["items"]
    if as_json:
        _print_json(items)
        return
    table = _table("function", "starts on", "queue", "attempts", "time-out", "per project", "")
    for one in items:
        most = one["per_project"]
        table.add_row(
            one["name"],
            one["trigger"],
            one["queue"],
            str(one["max_attempts"]),
            f"{one['timeout_s']} s",
            "" if most is None else str(most),
            one["doc"],
        )
    _console().print(table)


@app.command("ls")
def list_jobs(
    context: typer.Context,
    event: Event = None,
    state: Annotated[
        str | None, typer.Option(help="Only jobs in this state, such as running.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Jobs, newest first."""
    _show(list(_jobs(context, event, state, limit)), as_json)


@app.command()
def dead(
    context: typer.Context, event: Event = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """Jobs that used up their attempts or cannot succeed; `retry` gives them another round."""
    _show(list(_jobs(context, event, "dead", limit)), as_json)


@app.command()
def show(context: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """One job: its input, its outputs, what it cost, and every attempt."""
    found = _call(context, "GET", f"/v1/jobs/{job}")
    if as_json:
        _print_json(found)
        return
    console = _console()
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in found.items():
        if name not in ("attempts", "error") and value not in (None, {}, ""):
            table.add_row(
                name, escape(json.dumps(value) if isinstance(value, dict) else str(value))
            )
    console.print(table)
    if found["error"]:
        console.print(f"\n{found['error']}", style="red", markup=False)
    attempts = _table("attempt", "worker", "from", "to", "outcome", "error")
    for one in found["attempts"]:
        attempts.add_row(
            str(one["number"]),
            one["worker"],
            one["started_at"],
            one["ended_at"] or "",
            one["outcome"] or "runs",
            escape(one["error"] or ""),
        )
    console.print()
    console.print(attempts)


@app.command()
def logs(context: typer.Context, job: JobId) -> None:
    """The last lines that each attempt logged."""
    for one in _call(context, "GET", f"/v1/jobs/{job}")["attempts"]:
        outcome = one["outcome"] or "runs; its log is written when it ends"
        print(f"--- attempt {one['number']} on {one['worker']}: {outcome}")
        if one["log"]:
            print(one["log"])


@app.command()
def retry(
    context: typer.Context, jobs: Annotated[list[str], typer.Argument(help="Ids of dead jobs.")]
) -> None:
    """Give dead jobs another round of attempts."""
    for job in jobs:
        print(f"{job}: {_call(context, 'POST', f'/v1/jobs/{job}/retry')['state']}")


@app.command()
def cancel(
    context: typer.Context, jobs: Annotated[list[str], typer.Argument(help="Ids of jobs.")]
) -> None:
    """Stop jobs for good."""
    for job in jobs:
        print(f"{job}: {_call(context, 'POST', f'/v1/jobs/{job}/cancel')['state']}")


def _jobs(
    context: typer.Context, event: str | None, state: str | None, limit: int
) -> Iterator[dict[str, Any]]:
    query = {"event": event, "state": state}
    given: dict[str, Any] = {name: value for name, value in query.items() if value is not None}
    after: str | None = None
    while limit > 0:
        page = given | {"limit": min(PAGE, limit)} | ({} if after is None else {"after": after})
        found = _call(context, "GET", "/v1/jobs", page)
        yield from found["items"]
        limit -= len(found["items"])
        after = found["next"]
        if after is None:
            return


def _show(items: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json(items)
        return
    table = _table("job", "function", "event", "state", "done", "attempts", "created", "error")
    for one in items:
        style = _STYLES.get(one["state"], "")
        table.add_row(
            one["id"],
            one["function"],
            one["event"],
            f"[{style}]{one['state']}[/]" if style else one["state"],
            f"{100 * one['progress']:.0f} %",
            f"{one['attempt_count']}/{one['max_attempts']}",
            one["created_at"],
            escape((one["error"] or "").partition("\n")[0]),
        )
    _console().print(table)


def _call(
    context: typer.Context, method: str, path: str, query: dict[str, Any] | None = None
) -> Any:
    access: Access = context.obj
    headers = {"Authorization": f"Bearer {_key_of(access)}"}
    try:
        with httpx2.Client(base_url=access.url, headers=headers, timeout=10) as client:
            response = client.request(method, path, params=query)
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        raise _stop(f"{access.url} does not answer: {error}; is LIVEPATH_API_URL right?") from error
    if response.is_error:
        raise _stop(_problem(response))
    return response.json()


def _problem(response: httpx2.Response) -> str:
    try:
        told = response.json()
        return f"{told['detail']}. {told['fix']}"
    except (ValueError, KeyError, TypeError):
        return f"the API answered {response.status_code}: {response.text[:200]}"


def _stop(words: str) -> typer.Exit:
    print(words, file=sys.stderr)
    return typer.Exit(1)


def _print_json(found: Any) -> None:
    print(json.dumps(found, indent=2))


def _console() -> Console:
    # Through a pipe lines are as long as they are, so that grep finds what people look for.
    return Console() if sys.stdout.isatty() else Console(width=250)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
