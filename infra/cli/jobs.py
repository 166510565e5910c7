"""`livepath jobs`: the cold path's jobs from a terminal, over the control API."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.api import api, example, first, group, told
from infra.cli.output import (
    AsJson,
    Limit,
    print_error,
    print_fields,
    print_json,
    print_line,
    print_table,
    state,
    when,
)
from infra.cli.waiting import job_bar
from infra.jobs.states import JobState

if TYPE_CHECKING:
    from infra.client.models import Function, Job

app = group("Jobs of the cold path: what runs, what failed and why; ask for, retry, cancel.")

OfEvent = Annotated[str | None, typer.Option("--event", help="Only jobs of this event.")]
JobId = Annotated[str, typer.Argument(help="Id of the job, as `livepath jobs ls` shows it.")]
JobIds = Annotated[list[str], typer.Argument(help="Ids of jobs.")]


@app.command(epilog=example("livepath jobs functions"))
def functions(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Every function of the installation, what starts it, and its terms."""
    with api(context) as client:
        found = list(client.functions.list())
    if as_json:
        print_json(found)
        return
    print_table(
        ("function", "starts on", "queue", "attempts", "time-out", "per project", "what it does"),
        [(one.name, state(one.trigger), *_terms(one), one.doc) for one in found],
    )


def _terms(one: "Function") -> tuple[str, str, str, str]:
    """None of what cannot run."""
    if one.trigger == "broken":
        return ("", "", "", "")
    most = "" if one.per_project is None else str(one.per_project)
    return (one.queue, str(one.max_attempts), f"{one.timeout_s} s", most)


@app.command("ls", epilog=example("livepath jobs ls --event ev_2kq5mzx7c3v4b6n7a8sd"))
def list_jobs(
    context: typer.Context,
    event: OfEvent = None,
    wanted: Annotated[
        JobState | None, typer.Option("--state", help="Only jobs in this state.")
    ] = None,
    limit: Limit = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """Jobs, newest first."""
    named = None if wanted is None else wanted.value
    with api(context) as client:
        _show(first(limit, client.jobs.list, event=event, state=named), as_json)


@app.command(epilog=example("livepath jobs dead --json"))
def dead(
    context: typer.Context, event: OfEvent = None, limit: Limit = 50, *, as_json: AsJson = False
) -> None:
    """Jobs that used up their attempts or cannot succeed; `retry` gives them another round."""
    with api(context) as client:
        _show(first(limit, client.jobs.list, event=event, state="dead"), as_json)


@app.command(epilog=example("livepath jobs show job_2kq5mzx7c3v4b6n7a8sd"))
def show(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """One job: its input, its outputs, what it cost, and every attempt."""
    with api(context) as client:
        found = client.jobs.get(job)
    if as_json:
        print_json(found)
        return
    fields = found.model_dump(mode="json", exclude={"attempts", "error"})
    print_fields({name: _text(value) for name, value in fields.items()})
    if found.error:
        print_error(found.error)
    print_table(
        ("attempt", "worker", "from", "to", "outcome", "error"),
        [
            (
                str(one.number),
                one.worker,
                when(one.started_at),
                when(one.ended_at),
                one.outcome or "runs",
                one.error or "",
            )
            for one in found.attempts or ()
        ],
    )


@app.command(epilog=example("livepath jobs logs job_2kq5mzx7c3v4b6n7a8sd"))
def logs(context: typer.Context, job: JobId, *, as_json: AsJson = False) -> None:
    """The last lines that each attempt logged."""
    with api(context) as client:
        attempts = client.jobs.get(job).attempts or ()
    if as_json:
        print_json(attempts)
        return
    if not attempts:
        print("no attempt was made yet")
    for one in attempts:
        outcome = one.outcome or "runs; its log is written when it ends"
        print(f"--- attempt {one.number} on {one.worker}: {outcome}")
        if one.log:
            print(one.log)


@app.command(epilog=example("livepath jobs run ev_2kq5mzx7c3v4b6n7a8sd thumbnails --wait"))
def run(
    context: typer.Context,
    event: Annotated[str, typer.Argument(help="Id of the event.")],
    function: Annotated[str, typer.Argument(help="One that waits to be asked: see `functions`.")],
    *,
    param: Annotated[
        list[str] | None,
        typer.Option(help="`name=value`, the value as JSON or as text; once for each."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has succeeded.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a function for its work on an event."""
    params = dict(_param(one) for one in param or ())
    with api(context) as client:
        job = client.jobs.create(event, function, params=params)
        if wait:
            with job_bar(function) as seen:
                job = client.jobs.wait(job.id, seen=seen)
    if as_json:
        print_json(job)
    else:
        print(f"{job.id}: {job.state}")


@app.command(epilog=example("livepath jobs retry job_2kq5mzx7c3v4b6n7a8sd"))
def retry(context: typer.Context, jobs: JobIds, *, as_json: AsJson = False) -> None:
    """Give dead or cancelled jobs another round of attempts."""
    with api(context) as client:
        _each(jobs, client.jobs.retry, as_json)


@app.command(epilog=example("livepath jobs cancel job_2kq5mzx7c3v4b6n7a8sd"))
def cancel(context: typer.Context, jobs: JobIds, *, as_json: AsJson = False) -> None:
    """Stop jobs for good."""
    with api(context) as client:
        _each(jobs, client.jobs.cancel, as_json)


def _each(jobs: list[str], order: "Callable[[str], Job]", as_json: bool) -> None:
    """What is refused to one job is said, and the others get theirs."""
    from infra.client import Conflict, NotFound

    refused: NotFound | Conflict | None = None
    for job in jobs:
        try:
            _changed(order(job), as_json)
        except (NotFound, Conflict) as error:
            if refused is not None:
                print(told(refused), file=sys.stderr)
            refused = error
    if refused is not None:
        raise refused


def _show(found: "list[Job]", as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_table(
        ("job", "function", "event", "state", "done", "attempts", "created", "error"),
        [
            (
                one.id,
                one.function,
                one.event,
                state(one.state),
                f"{100 * one.progress:.0f} %",
                f"{one.attempt_count}/{one.max_attempts}",
                when(one.created_at),
                (one.error or "").partition("\n")[0],
            )
            for one in found
        ],
    )


def _changed(job: "Job", as_json: bool) -> None:
    if as_json:
        print_line(job)
    else:
        print(f"{job.id}: {job.state}")


def _param(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{text!r} is no name=value", param_hint="--param")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _text(value: object) -> str:
    if value in (None, {}, ""):
        return ""
    return json.dumps(value) if isinstance(value, dict) else str(value)
