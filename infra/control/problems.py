"""Errors as the API speaks them: RFC 9457 problem details that say what to do.

LivepathError
└── ApiProblem             status, slug, detail and fix
    ├── Unauthorized       401  no valid API key
    │   ├── BadPublishToken     no valid WHIP token
    │   └── BadViewerToken      no valid viewer token
    ├── Forbidden          403  the token is good, for something else
    │   ├── LacksScope          the API key may do other things only
    │   ├── NotThisProject      the API key opens other projects only
    │   └── Outranked           the API key would give what it does not have
    ├── NotFound           404  not there, or of another project (never told apart)
    ├── Conflict           409  the state does not allow it
    ├── Invalid            422  a value cannot be used
    ├── TooManyRequests    429  a rate limit
    └── Unavailable        503  the database does not answer; try again
"""

from http import HTTPStatus
from typing import Any, ClassVar, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from pydantic_core import to_json
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from infra.auth.scopes import Scope
from infra.db.outage import is_outage
from infra.errors import IllegalTransition, LivepathError

_log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_SCHEMA = "Compare the request with the schema at /openapi.json."
_HTTP_FIXES = {
    400: "Send a JSON object, UTF-8 encoded, with Content-Type: application/json.",
    404: "Check the path; /openapi.json lists every one.",
    405: "Use one of the methods in the Allow header.",
    413: "Send a smaller body.",
}


class ProblemError(BaseModel):
    """One value that cannot be used."""

    where: str = Field(description="Place in the request.", examples=["body.name"])
    message: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """RFC 9457 problem details, with the remedy in words."""

    type: str = Field(examples=["urn:livepath:problem:conflict"])
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["event ev_… was never live"])
    fix: str = Field(description="What to do about it.", examples=["Use DELETE to cancel it."])
    errors: list[ProblemError] | None = Field(None, description="For invalid requests.")
    request_id: str | None = Field(
        None, description="As in the header `X-Request-Id`, the logs and the audit log."
    )


class ApiProblem(LivepathError):
    """Base of the errors that a route or service raises."""

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix


class Unauthorized(ApiProblem):
    status, slug, title = 401, "unauthorized", "No valid API key"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer realm="livepath"'}


class BadPublishToken(Unauthorized):
    slug, title = "bad-token", "No valid WHIP token"


class BadViewerToken(Unauthorized):
    slug, title = "bad-token", "No valid viewer token"


class Forbidden(ApiProblem):
    status, slug, title = 403, "forbidden", "Not with this token"


class LacksScope(Forbidden):
    slug, title = "missing-scope", "Not with this API key"

    def __init__(self, needed: Scope) -> None:
        super().__init__(
            f"the API key lacks the scope {needed}",
            f"Use a key that has {needed}, or make one: POST /v1/keys.",
        )


class NotThisProject(Forbidden):
    slug, title = "other-project", "Not with this API key"

    def __init__(self) -> None:
        super().__init__(
            "the API key does not open the project that the header Livepath-Project names",
            "Leave the header out, or use a key of that project or of its whole organisation.",
        )


class Outranked(Forbidden):
    slug, title = "more-than-this-key", "Not with this API key"


class NotFound(ApiProblem):
    status, slug, title = 404, "not-found", "Not found"


class Conflict(ApiProblem):
    status, slug, title = 409, "conflict", "The state does not allow it"


class Invalid(ApiProblem):
    status, slug, title = 422, "invalid-request", "The request cannot be used"


class TooManyRequests(ApiProblem):
    """`Retry-After` and what is left are headers of every limited answer."""

    status, slug, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, detail: str) -> None:
        super().__init__(
            detail, "Wait for as many seconds as Retry-After says; RateLimit tells what is left."
        )


class Unavailable(ApiProblem):
    status, slug, title = 503, "unavailable", "Temporarily unavailable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "2"}


def problem_response(problem: ApiProblem, errors: list[ProblemError] | None = None) -> Response:
    """The HTTP form of a problem."""
    return _response(
        Problem(
            type=f"urn:livepath:problem:{problem.slug}",
            title=problem.title,
            status=problem.status,
            detail=problem.detail,
            fix=problem.fix,
            errors=errors,
        ),
        problem.headers,
    )


def database_unavailable() -> Unavailable:
    return Unavailable(
        "the database does not answer; nothing was changed",
        "Repeat the request in a few seconds; events that run are not affected.",
    )


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    app.add_exception_handler(ApiProblem, _on_problem)
    app.add_exception_handler(IllegalTransition, _on_illegal_transition)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(SQLAlchemyError, _on_database)
    # Starlette re-raises after this one, so the server logs the traceback.
    app.add_exception_handler(Exception, _on_bug)


def _response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    problem.request_id = structlog.contextvars.get_contextvars().get("request_id")
    told = dict(headers or {})
    if problem.request_id is not None:
        # The answer to a bug is made outside of the layer that adds it.
        told["X-Request-Id"] = problem.request_id
    # A lone surrogate that a client sent comes back inside a message: replace, do not fail.
    body = to_json(problem.model_dump(exclude_none=True), inf_nan_mode="null")
    return Response(body, problem.status, told, MEDIA_TYPE)


async def _on_problem(_request: Request, error: Exception) -> Response:
    return problem_response(cast("ApiProblem", error))


async def _on_illegal_transition(_request: Request, error: Exception) -> Response:
    return problem_response(
        Conflict(str(error), "Read the event's state and choose an action that it allows.")
    )


async def _on_invalid(_request: Request, error: Exception) -> Response:
    items = cast("RequestValidationError", error).errors()
    found = [_told(item) for item in items]
    kinds = {item["type"] for item in items}
    if "json_invalid" in kinds:
        return problem_response(Invalid("the body is not valid JSON", _HTTP_FIXES[400]), found)
    if "model_attributes_type" in kinds or found == [
        ProblemError(where="body", message="Field required")
    ]:
        return problem_response(Invalid("the body is not a JSON object", _HTTP_FIXES[400]), found)
    detail = "; ".join(f"{item.where}: {item.message}" for item in found)
    return problem_response(Invalid(detail, f"Correct each value in errors. {_SCHEMA}"), found)


def _told(item: dict[str, Any]) -> ProblemError:
    # A JSON error's place is a byte offset; every other place is a path of names.
    where = ".".join(str(part) for part in item["loc"])
    reason = (item.get("ctx") or {}).get("error")
    message = f"{item['msg']}: {reason}" if item["type"] == "json_invalid" else str(item["msg"])
    return ProblemError(where=_clean(where), message=_clean(message))


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()[:500]


async def _on_http(request: Request, error: Exception) -> Response:
    http = cast("HTTPException", error)
    headers = dict(http.headers or {})
    if http.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    problem = Problem(
        type="about:blank",
        title=str(http.detail),
        status=http.status_code,
        detail=str(http.detail),
        fix=_HTTP_FIXES.get(http.status_code, _SCHEMA),
    )
    return _response(problem, headers)


def _methods_at(request: Request) -> set[str]:
    """Of all routes with this path; the framework knows of the first one only."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(request.url.path):
            found |= route.methods or set()
    return found


async def _on_database(request: Request, error: Exception) -> Response:
    if is_outage(error):
        _log.warning("request met a database outage", path=request.url.path, error=str(error))
        return problem_response(database_unavailable())
    _log.error("request failed in the database", path=request.url.path, exc_info=error)
    return await _on_bug(request, error)


async def _on_bug(_request: Request, _error: Exception) -> Response:
    problem = Problem(
        type="urn:livepath:problem:bug",
        title="Internal error",
        status=500,
        detail="the server met a condition it does not know",
        fix="Please report it with the request_id; the log has the details.",
    )
    return _response(problem)
