"""What can go wrong between a program and the control API.

ClientError
├── Unreachable            nobody answered in time
├── UnexpectedAnswer       an answer that is none of this API's
├── WaitedInVain           what was waited for did not come, or cannot come any more
├── BadSignature           a webhook that is not from who shares the secret, or is old
├── BadValue               a value that cannot be sent (a ValueError as well); nothing was asked
└── ApiError               the API said no: status, title, detail, fix, request id
    ├── Unauthorized       401
    ├── Forbidden          403
    ├── NotFound           404  not there, or of another project
    ├── Conflict           409  the state does not allow it
    ├── PreconditionFailed 412  it has changed since
    ├── Invalid            400, 413, 422  a value cannot be used
    ├── RateLimited        429
    └── Unavailable        502, 503, 504
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ClientError(Exception):
    """Anything that this package raises on purpose."""


class Unreachable(ClientError):
    """No answer came; whether the request was carried out is not known."""

    def __init__(self, reason: str, request_id: str) -> None:
        super().__init__(f"the control API does not answer: {reason} (request {request_id})")
        self.request_id = request_id


class UnexpectedAnswer(ClientError):
    """An answer that is none of this API's; is the address right?"""

    def __init__(self, reason: str, request_id: str) -> None:
        super().__init__(f"{reason} (request {request_id})")
        self.request_id = request_id


class WaitedInVain(ClientError):
    """What was waited for did not come."""


class BadSignature(ClientError):
    """A webhook must not be believed."""


class BadValue(ClientError, ValueError):
    """A value that cannot be sent; nothing was asked."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says about a failure."""

    status: int
    title: str
    detail: str
    fix: str
    type: str
    errors: tuple[Mapping[str, Any], ...]
    request_id: str
    retry_after_s: float | None


class ApiError(ClientError):
    """The API refused, in its own words."""

    def __init__(self, told: Told) -> None:
        words = f"{told.title}: {told.detail}. {told.fix}".rstrip()
        super().__init__(f"{words} ({told.status}, request {told.request_id})")
        self.status = told.status
        self.title = told.title
        self.detail = told.detail
        self.fix = told.fix
        self.type = told.type
        self.errors = told.errors
        self.request_id = told.request_id
        self.retry_after_s = told.retry_after_s


class Unauthorized(ApiError):
    pass


class Forbidden(ApiError):
    pass


class NotFound(ApiError):
    pass


class Conflict(ApiError):
    pass


class PreconditionFailed(ApiError):
    pass


class Invalid(ApiError):
    pass


class RateLimited(ApiError):
    pass


class Unavailable(ApiError):
    pass


_KINDS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: Invalid,
    422: Invalid,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, headers: Mapping[str, str], body: bytes, request_id: str) -> ApiError:
    """The typed error of a refusal, also of one that some proxy on the way made."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        text = body[:200].decode(errors="replace").strip()
        problem = {"title": f"HTTP status {status}", "detail": text or "no more was said"}
    errors = problem.get("errors")
    told = Told(
        status=status,
        title=str(problem.get("title", f"HTTP status {status}")),
        detail=str(problem.get("detail", "")),
        fix=str(problem.get("fix", "")),
        type=str(problem.get("type", "about:blank")),
        errors=tuple(errors) if isinstance(errors, list) else (),
        request_id=str(problem.get("request_id") or headers.get("x-request-id") or request_id),
        retry_after_s=seconds_of(headers.get("retry-after")),
    )
    return _KINDS.get(status, ApiError)(told)


def seconds_of(header: str | None) -> float | None:
    """`Retry-After` in seconds, which is the form that this API uses."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
