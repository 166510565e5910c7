"""Logs: structlog events on stderr, one line each, as JSON or for the console.

Everything that writes through the standard library (uvicorn, Celery, boto3) takes the same way, so
a role's log has one format. Secrets that travel in URLs are masked here, once, whoever logs them.
Repeated warnings are the caller's to aggregate.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal

import structlog

from infra.telemetry import tracing

_SECRETS = re.compile(
    r"(?P<userinfo>(?<=://)[^/\s:@]*:[^/\s@]+(?=@))"
    r"|(?P<query>(?<![A-Za-z0-9_])(?:passphrase|X-Amz-Signature|X-Amz-Credential)=)[^&\s'\"]+"
    r"|(?P<path>/t/)[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
)
_MASK = "***"

# A line per request at `info`: health polling alone would fill the logs.
_CHATTY = ("httpx2", "uvicorn.access")


def _masked(match: re.Match[str]) -> str:
    if match["userinfo"]:
        return _MASK
    return (match["query"] or match["path"]) + _MASK


def redact(text: str) -> str:
    """`text` without passwords in URLs, SRT passphrases, S3 signatures and viewer tokens."""
    return _SECRETS.sub(_masked, text)


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _redacted(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_redacted(item) for item in value]
    return value


def _redact_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str | Mapping | list | tuple):
            event[key] = _redacted(value)
    return event


def _add_trace(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """By which lines are found from a span, and spans from a line."""
    found = tracing.current()
    if found is not None:
        event.setdefault("trace_id", found.trace_hex)
    return event


def configure_logging(role: str, fmt: Literal["console", "json"], level: str) -> None:
    """Send the logs of this process to stderr; called once, first thing, by each role."""

    def add_role(_l: Any, _m: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("role", role)
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_role,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _drop_colour_message,
                *_renderers(fmt),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _drop_colour_message(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """uvicorn carries its message a second time, with terminal colours."""
    event.pop("color_message", None)
    return event


def _renderers(fmt: Literal["console", "json"]) -> list[structlog.typing.Processor]:
    # Tracebacks are text, without variables, before anything is masked.
    before: list[structlog.typing.Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    if fmt == "json":
        return [*before, structlog.processors.JSONRenderer(default=str)]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [*before, console]
