"""What Schemathesis has for hooks: when it is no failure that something cannot be found, and notes.

It expects that what a POST has made can be had. It can, unless that POST was a repetition with the
`Idempotency-Key` of one before: it has the answer of before, and what that names may have been
deleted since. And what belongs to the thing that was made, such as an event's replay, need not be
there because the thing is.

Nor is it one that a key or an event is shown that was deleted: it is revoked, or cancelled.

Operations that have answered with a success are written down, one a line, in the file that
`LIVEPATH_CONTRACT_SUCCESSES` names.
"""

import os
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response

NOT_FOUND = "ST302"
"""Code of "a resource is not available right after it was created"."""
STILL_THERE = "ST301"
"""Code of "a deleted resource is still available"."""
KEPT = ("DELETE /v1/keys/", "DELETE /v1/events/")
"""What these are called with is there afterwards, in another state."""
_named_again: set[str] = set()
"""Ids in answers that were given again."""
_successes = Path(os.environ["LIVEPATH_CONTRACT_SUCCESSES"])
_succeeded: set[str] = set()


@schemathesis.hook
def after_call(_context: HookContext, case: Case, response: Response) -> None:
    if response.status_code < 300 and case.operation.label not in _succeeded:
        _succeeded.add(case.operation.label)
        with _successes.open("a", encoding="utf-8") as file:
            file.write(f"{case.operation.label}\n")
    if "idempotency-replayed" in response.headers:
        body = response.json()
        _named_again.update(str(body[name]) for name in ("id", "kid") if name in body)


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Any, case: Case, _response: Response) -> bool:
    """Whether it is one."""
    if failure.code == STILL_THERE:
        return not failure.free.startswith(KEPT)
    if failure.code != NOT_FOUND:
        return True
    made_at = failure.created_with.removeprefix("POST ")
    parent, _, last = case.operation.path.rpartition("/")
    asked = {str(value) for value in (case.path_parameters or {}).values()}
    return parent == made_at and last.startswith("{") and not asked & _named_again
