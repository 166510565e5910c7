"""Long waits: a bar on a terminal, silence elsewhere.

The bar is on standard error, so that what a command prints is its result alone.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.client import Client
    from infra.client.models import Clip, Event, Job

ARCHIVE = "archive"
_GIVEN_UP = ("dead", "cancelled")


@contextmanager
def job_bar(what: str) -> "Iterator[Callable[[Job | Clip], None]]":
    """Something to call with every state that the work was seen in."""
    if not sys.stderr.isatty():
        yield lambda _made: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=1.0)

        def seen(made: "Job | Clip") -> None:
            progress.update(task, completed=made.progress, description=f"{what}: {made.state}")

        yield seen


def wait_for_archive(client: "Client", event: "Event", timeout_s: float) -> "Event":
    """The event once its recording can be watched; raises WaitedInVain when it never will."""
    from infra.client import WaitedInVain

    if event.started_at is None and event.state != "archived":
        raise WaitedInVain(f"event {event.id} was never live, so there is nothing to archive")
    if not event.recording.enabled:
        raise WaitedInVain(f"event {event.id} is not recorded")
    if event.cold_functions is not None and ARCHIVE not in event.cold_functions:
        raise WaitedInVain(f"event {event.id} has no archive among its cold functions")
    with job_bar(ARCHIVE) as seen:

        def look(found: "Event") -> None:
            job = _archive_of(client, found)
            if job is None:
                return
            seen(job)
            if job.state in _GIVEN_UP and found.state != "archived":
                raise WaitedInVain(f"{job.id} is {job.state}: {job.error or 'no reason was kept'}")

        return client.events.wait_until(event.id, "archived", timeout_s=timeout_s, seen=look)


def _archive_of(client: "Client", event: "Event") -> "Job | None":
    """The newest job that archives it."""
    found = client.jobs.list(event=event.id)
    return next((job for job in found if job.function == ARCHIVE), None)
