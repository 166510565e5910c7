"""The control API for tests, its routes made once a process: they cost more than most tests."""

from fastapi import FastAPI
from starlette.middleware import Middleware

from infra.control.app import create_app
from infra.control.context import ControlContext

_made: list[FastAPI] = []


def app_with(context: ControlContext) -> FastAPI:
    """The one app, with this context from now on."""
    if not _made:
        _made.append(create_app(context))
    app = _made[0]
    app.state.context = context
    app.user_middleware = [_with(layer, context) for layer in app.user_middleware]
    app.middleware_stack = None
    return app


def _with(layer: Middleware, context: ControlContext) -> Middleware:
    known = {"context": context} if "context" in layer.kwargs else {}
    return Middleware(layer.cls, *layer.args, **(layer.kwargs | known))
