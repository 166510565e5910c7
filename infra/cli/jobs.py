"""`livepath jobs`: the cold path's jobs from a terminal, over the control API.

Upstream: people. Downstream: any deployment's control API; this process imports no plane.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from infra.cli.api import AsJson, Limit, access, call, items_of, new_table, print_json, terminal

app = typer.Typer(
    help="Jobs of the cold path: what runs, what failed and why; retry and cancel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_STYLES = {"succeeded": "green", "running": "cyan", "retrying": "yellow", "dead": "bold red"}

Event = Annotated[str | None, typer.Option(help="Only jobs of this event.")]
JobId = Annotated[str, typer.Argument(help="Id of the job, as `livepath jobs ls` shows it.")]


app.callback()(access)


@app.command()
def functions(context: typer.Context, as_json: AsJson = False) -> None:
    """Every function of the installation, what starts it, and its terms."""
    items = call(context, "GET", "/v1/functions")["items"]
    if as_json:
        print_json(items)
        return
    table = new_table("function", "starts on", "queue", "attempts", "time-out", "per project", "")
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
    terminal().print(table)


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
    found = call(context, "GET", f"/v1/jobs/{job}")
    if as_json:
        print_json(found)
        return
    console = terminal()
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in found.items():
        if name not in ("attempts", "error") and value not in (None, {}, ""):
            table.add_row(
                name, escape(json.dumps(value) if isinstance(value, dict) else str(value))
            )
    console.print(table)
    if found["error"]:
        console.print(f"\n{found['error']}", style="red", markup=False)
    attempts = new_table("attempt", "worker", "from", "to", "outcome", "error")
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
    for one in call(context, "GET", f"/v1/jobs/{job}")["attempts"]:
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
        print(f"{job}: {call(context, 'POST', f'/v1/jobs/{job}/retry')['state']}")


@app.command()
def cancel(
    context: typer.Context, jobs: Annotated[list[str], typer.Argument(help="Ids of jobs.")]
) -> None:
    """Stop jobs for good."""
    for job in jobs:
        print(f"{job}: {call(context, 'POST', f'/v1/jobs/{job}/cancel')['state']}")


def _jobs(
    context: typer.Context, event: str | None, state: str | None, limit: int
) -> Iterator[dict[str, Any]]:
    return items_of(context, "/v1/jobs", {"event": event, "state": state}, limit)


def _show(items: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(items)
        return
    table = new_table("job", "function", "event", "state", "done", "attempts", "created", "error")
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
    terminal().print(table)
