"""When it is no failure that something cannot be found: Schemathesis loads this file as its hooks.

It expects that what a POST has made can be had. It can, unless that POST was a repetition with the
`Idempotency-Key` of one before: it has the answer of before, and what that names may have been
deleted since. And what belongs to the thing that was made, such as an event's replay, need not be
there because the thing is.
"""

from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response

NOT_FOUND = "ST302"
"""Code of "a resource is not available right after it was created"."""
_named_again: set[str] = set()
"""Ids in answers that were given again."""


@schemathesis.hook
def after_call(_context: HookContext, _case: Case, response: Response) -> None:
    if "idempotency-replayed" in response.headers:
        body = response.json()
        _named_again.update(str(body[name]) for name in ("id", "kid") if name in body)


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Any, case: Case, _response: Response) -> bool:
    """Whether it is one."""
    if failure.code != NOT_FOUND:
        return True
    made_at = failure.created_with.removeprefix("POST ")
    parent, _, last = case.operation.path.rpartition("/")
    asked = {str(value) for value in (case.path_parameters or {}).values()}
    return parent == made_at and last.startswith("{") and not asked & _named_again
