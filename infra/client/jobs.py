"""`client.jobs` and `client.functions`: what the cold path does, and can be asked to do."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.client.calls import Call, Wait
from infra.client.errors import WaitedInVain
from infra.client.events import EVENT
from infra.client.groups import Group, W, listing, operation, waiting
from infra.client.models import Clip, Function, Job, Page

JOBS, JOB = "/v1/jobs", "/v1/jobs/{job}"
_GIVEN_UP = frozenset({"dead", "cancelled"})
"""States that nothing follows by itself."""


class Jobs(Group[W]):
    """Work that runs after or beside an event."""

    @operation
    def create(
        self,
        event: str,
        function: str,
        *,
        feed: str = "main",
        params: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Job]:
        """Ask a function for its work on the event."""
        body = {"function": function, "feed": feed, "params": params or {}}
        return Call("POST", EVENT + "/jobs", Job, {"event": event}, body=body, key=idempotency_key)

    @listing
    def list(
        self, *, event: str | None = None, state: str | None = None, page_size: int | None = None
    ) -> Call[Page[Job]]:
        query = {"event": event, "state": state, "limit": page_size}
        return Call("GET", JOBS, Page[Job], query=query)

    @operation
    def get(self, job: str) -> Call[Job]:
        """One job with its attempts and their logs."""
        return _job(job)

    @waiting
    def wait(
        self,
        job: str,
        *,
        timeout_s: float = 3600,
        every_s: float = 1,
        seen: Callable[[Job], None] | None = None,
    ) -> Wait[Job]:
        """The job once it has succeeded; `seen` is told of it each time that it is looked at."""
        return Wait(_job(job), has_succeeded, f"job {job}", every_s, timeout_s, seen)

    @operation
    def cancel(self, job: str) -> Call[Job]:
        """Stop a job for good."""
        return Call("POST", JOB + "/cancel", Job, {"job": job})

    @operation
    def retry(self, job: str) -> Call[Job]:
        """Give a dead job another round of attempts."""
        return Call("POST", JOB + "/retry", Job, {"job": job})


def has_succeeded(made: Job | Clip) -> bool:
    """Whether the work is done; raises WaitedInVain when nobody goes on with it."""
    if made.state in _GIVEN_UP:
        raise WaitedInVain(f"{made.id} is {made.state}: {made.error or 'no reason was kept'}")
    return made.state == "succeeded"


class Functions(Group[W]):
    """What this installation can do with a recording."""

    @listing
    def list(self) -> Call[Page[Function]]:
        return Call("GET", "/v1/functions", Page[Function])


def _job(job: str) -> Call[Job]:
    return Call("GET", JOB, Job, {"job": job})
