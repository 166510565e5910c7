"""A call of the API, described once for clients of both kinds.

Invariant: what is sent is made once per call: its `Idempotency-Key`, request id and bytes are the
same in every attempt. An id never changes where a path leads.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from infra.client.errors import BadValue, UnexpectedAnswer
from infra.client.models import Model, Page

M = TypeVar("M", bound=Model)
IF_MATCH = "If-Match"
ETAG = "etag"


@dataclass(frozen=True, slots=True)
class Call(Generic[M]):
    """What is asked, and what the answer is."""

    method: str
    path: str
    """With names in braces."""
    result: type[M]
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    """None: left out."""
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    key: str | None = None
    """The `Idempotency-Key` that the caller chose."""
    once: bool = False
    """Whether carrying it out a second time would fail or change something."""


@dataclass(frozen=True, slots=True)
class Wait(Generic[M]):
    """A call that is repeated until its answer is the one that is waited for."""

    call: Call[M]
    done: Callable[[M], bool]
    """Raises WaitedInVain when it cannot come any more."""
    what: str
    every_s: float
    timeout_s: float
    seen: Callable[[M], None] | None = None
    """Told every answer on the way; what it raises ends the wait."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call as it goes over the wire, in every attempt."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    content: bytes | None
    headers: Mapping[str, str]
    request_id: str
    repeatable: bool


def prepare(call: Call[Any], request_id: str, fresh_key: str) -> Prepared:
    headers = {name: value for name, value in call.headers.items() if value is not None}
    # The answer to a first attempt that got lost made the tag another one.
    repeatable = not call.once and IF_MATCH not in headers
    if call.method == "POST":
        headers["Idempotency-Key"] = fresh_key if call.key is None else call.key
        repeatable = True
    content = None
    if call.body is not None:
        content = json.dumps(plain(call.body), allow_nan=False, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
    headers["X-Request-Id"] = request_id
    path = call.path.format_map({name: _segment(name, one) for name, one in call.ids.items()})
    return Prepared(
        call.method, path, tuple(_pairs(call.query)), content, headers, request_id, repeatable
    )


def read(call: Call[M], headers: Mapping[str, str], body: bytes, request_id: str) -> M:
    """The result of an answer that is no refusal."""
    try:
        found = json.loads(body) if body else {}
        if ETAG in call.result.model_fields and ETAG in headers:
            found = {**found, ETAG: headers[ETAG]}
        return call.result.model_validate(found)
    except (ValueError, TypeError) as error:
        # A ValidationError quotes the answer, which may hold a secret.
        told = "no JSON object"
        if isinstance(error, ValidationError):
            places = (".".join(map(str, one["loc"])) for one in error.errors(include_input=False))
            told = ", ".join(list(places)[:5])
        raise UnexpectedAnswer(
            f"the answer to {call.method} {call.path} is no {call.result.__name__} ({told}); "
            "is the address that of a control API, and this client not too old for it?",
            request_id,
        ) from None


def page_after(call: Call[Page[M]], cursor: str) -> Call[Page[M]]:
    return replace(call, query={**call.query, "after": cursor})


def said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of the fields that have a default on the server's side."""
    return {name: value for name, value in fields.items() if value is not None}


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadValue("a time needs an offset: datetime(..., tzinfo=UTC)")
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    return value


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(one))
        for name, value in plain(said(query)).items()
        for one in (value if isinstance(value, list) else [value])
    ]


def _segment(name: str, value: str) -> str:
    if value in ("", ".", ".."):
        raise BadValue(f"{value!r} is no id of a {name}")
    return quote(value, safe="")
