"""`ETag`, `If-Match` and `If-None-Match` (RFC 9110 §8.8 and §13) for what the API shows.

Invariant: the tag is strong: it changes with every visible change of the resource, what its media
nodes report included. Without a header nothing is required.
"""

import hashlib
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel

from infra.control.problems import MEDIA_TYPE, ApiProblem

MAX_HEADER = 2_000
IfMatch = Annotated[
    str | None,
    Header(
        max_length=MAX_HEADER,
        description="`ETag` of the answer that the change goes by; 412 when it has changed since.",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=MAX_HEADER, description="`ETag` of an answer that is still held."),
]
CHANGED: dict[int | str, dict[str, Any]] = {
    412: {
        "description": "It has changed since the `ETag` in If-Match.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "It is what If-None-Match names."}
}


class PreconditionFailed(ApiProblem):
    status, slug, title = 412, "precondition-failed", "It has changed meanwhile"


def etag_of(shown: BaseModel) -> str:
    """The tag of a representation."""
    return f'"{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]}"'


def require_match(if_match: str, etag: str) -> None:
    """Strong comparison: a weak tag matches nothing."""
    if "*" not in (given := _listed(if_match)) and etag not in given:
        raise PreconditionFailed(
            f"the resource has changed: its ETag is {etag} now",
            "GET it again, decide anew, and send its ETag as If-Match.",
        )


def is_held(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison, as the RFC has it for If-None-Match."""
    given = {one.removeprefix("W/") for one in _listed(if_none_match or "")}
    return "*" in given or etag in given


def _listed(header: str) -> set[str]:
    # Our own tags hold no comma.
    return {one.strip() for one in header.split(",")}
