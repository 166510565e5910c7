"""The app factory: routes, pages, problems and middleware around one context."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware

from infra.auth import scopes
from infra.control import idempotency, problems
from infra.control.context import ControlContext
from infra.control.dependencies import PROJECT_HEADER
from infra.control.middleware import BodyLimit, Timing
from infra.control.request_spans import Traced
from infra.control.requests import HEADER, Requests
from infra.control.routes import (
    audit,
    clips,
    events,
    jobs,
    keys,
    markers,
    nodes,
    objects,
    ops,
    organisations,
    overview,
    playback,
    projects,
    publishing,
    replay,
    revocations,
    secrets,
    signing_keys,
    stream,
    tier_changes,
    webhooks,
)
from infra.telemetry import traceparent, tracing
from infra.web import pages

_DESCRIPTION = """\
Schedule events, get ingest addresses, hand out viewer tokens, and follow what becomes of them.

- **Authentication**: `Authorization: Bearer <API key>`. A key opens one project; what belongs to
  another project answers 404. A key of the whole organisation names the project by the header
  `Livepath-Project`. `/v1/playback/{event}` needs no key, at most a viewer token,
  and `GET /v1/publish/{event}` the event's WHIP token instead.
- **Limits**: `RateLimit-Policy` and `RateLimit` say what is left, `Retry-After` when to come back.
- **Requests** have ids: `X-Request-Id`, yours or one of ours, is in problems and the audit log.
- **Errors** are `application/problem+json` (RFC 9457); `fix` says what to do.
- **Lists** are newest first; pass `next` as `after` until it is null.
- **Times** are RFC 3339 in UTC.

- **Repeating** a POST is safe with an `Idempotency-Key`; `If-Match` with the `ETag` of an event
  makes a change go by what you have seen.

States of an event: `draft → scheduled → lobby → live → reconnecting → ended → archived`, or
`cancelled` before it was live.
"""
_PROBLEMS = {
    401: "No valid API key.",
    403: "The API key may not do this, or not in this project.",
    404: "Not there, or of another project.",
    409: "The event's state does not allow it.",
    422: "A value cannot be used.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "The database does not answer; try again.",
}
_BODY_PROBLEMS = {400: "The body cannot be read.", 413: "The body is too large."}


def create_app(context: ControlContext) -> FastAPI:
    """The control API and the pages, as one ASGI app."""
    app = FastAPI(
        title="Livepath control API",
        version="1",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # The generated documentation pages load scripts from a CDN.
        docs_url=None,
        redoc_url=None,
        # Spans are ours (`Traced`); its own would be five for each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_tags=[
            {"name": "events", "description": "Scheduled, running and past events."},
            {"name": "markers", "description": "Timed metadata for the viewers of an event."},
            {"name": "clips", "description": "Stretches of an event, to keep or to share."},
            {"name": "replay", "description": "What people did, beside the recording."},
            {"name": "assets", "description": "Recordings and what was made of them."},
            {"name": "jobs", "description": "Work that runs after or beside an event."},
            {"name": "webhooks", "description": "Endpoints that public events are delivered to."},
            {"name": "overview", "description": "A project at a glance, and how its events do."},
            {"name": "stream", "description": "Public events as they happen."},
            {"name": "playback", "description": "What a player may know without a key."},
            {"name": "publishing", "description": "What a publisher may know without a key."},
            {"name": "keys", "description": "API keys: what they may do, and for how long."},
            {"name": "projects", "description": "The projects of an organisation."},
            {"name": "organisations", "description": "Who owns projects."},
            {"name": "nodes", "description": "Media nodes of the whole installation."},
            {"name": "audit", "description": "Who changed what, and who was refused."},
        ],
    )
    app.state.context = context
    problems.install(app)
    idempotency.install(app)
    for module in (
        *(tier_changes, signing_keys, secrets),
        *(events, markers, clips, replay, jobs, webhooks, stream, playback, publishing),
        *(revocations, keys, projects, organisations, nodes, audit, overview),
    ):
        app.include_router(module.router, responses=_responses())
    app.include_router(ops.router)
    app.include_router(pages.router)
    # Behind the pages, one of which has an address below /vod/.
    app.include_router(objects.router)
    app.add_middleware(
        CORSMiddleware,
        # Keys travel in a header that only the caller's own code can add; there are no cookies.
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            *("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range"),
            *(PROJECT_HEADER, HEADER, "If-Match", "If-None-Match", traceparent.HEADER),
        ],
        expose_headers=[
            *("Content-Range", "ETag", "Location", "Retry-After", idempotency.REPLAYED),
            *("RateLimit", "RateLimit-Policy", HEADER),
        ],
        max_age=600,
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(Timing)
    if tracing.is_on():
        app.add_middleware(Traced)
    app.add_middleware(Requests, context=context)
    _describe_problems(app)
    return app


def _responses() -> dict[int | str, dict[str, Any]]:
    return {status: _problem(text) for status, text in _PROBLEMS.items()}


def _problem(text: str) -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": text, "content": {problems.MEDIA_TYPE: schema}}


def _describe_bodies(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            if "requestBody" in operation:
                for status, text in _BODY_PROBLEMS.items():
                    operation["responses"].setdefault(str(status), _problem(text))


def _describe_streams(document: dict[str, Any]) -> None:
    """OpenAPI 3.1 has no word for the items of a stream."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                media = answer.get("content", {}).get("text/event-stream", {})
                if media.pop("itemSchema", None) is not None:
                    media["schema"] = {"type": "string"}


def _describe_problems(app: FastAPI) -> None:
    """Put the problem schema, which no route returns, into the OpenAPI document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                license_info=app.license_info,
                servers=[{"url": "/"}],
            )
            _describe_bodies(made)
            _describe_streams(made)
            idempotency.describe(made)
            scopes.describe(made)
            schemas = made["components"]["schemas"]
            template = "#/components/schemas/{model}"
            problem = problems.Problem.model_json_schema(ref_template=template)
            schemas |= problem.pop("$defs")
            schemas["Problem"] = problem
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
