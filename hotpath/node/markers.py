"""An event's markers as date ranges of its playlists.

Invariant: whatever control let through can be quoted in a playlist; a marker that contradicts what
players were told costs itself alone. Upstream: `launcher`, with the desired state. Downstream:
`LivePlaylists`. Spec: draft-pantos-hls-rfc8216bis, 4.2 and 4.4.5.1.
"""

import json
import unicodedata
from collections.abc import Sequence

import structlog

from hotpath.hls.daterange import DateRange, DateRangeError
from hotpath.hls.live import LivePlaylists
from infra.events.desired import DesiredMarker

log = structlog.get_logger(__name__)

_CLASS = "com.livepath."
_ATTRIBUTE = "X-COM-LIVEPATH-"
_MS = 1_000_000  # in nanoseconds


def date_range(marker: DesiredMarker) -> DateRange:
    """Raises `DateRangeError` for what no playlist may carry."""
    said = {name: _text(value) for name, value in marker.data.items()}
    if marker.title is not None:
        said["title"] = _text(marker.title)
    return DateRange(
        id=marker.id,
        start_ns=marker.start_ms * _MS,
        class_=_CLASS + marker.kind,
        end_ns=None if marker.end_ms is None else marker.end_ms * _MS,
        attributes={_ATTRIBUTE + n.upper().replace("_", "-"): v for n, v in said.items()},
    )


def put(playlists: LivePlaylists, markers: Sequence[DesiredMarker]) -> None:
    """Into every rendition; what is there already changes nothing."""
    refused: dict[str, str] = {}
    for marker in markers:
        try:
            playlists.set_date_range(date_range(marker))
        except DateRangeError as error:
            refused[marker.id] = str(error)
    if refused:
        log.warning(
            "markers are left out of the playlists",
            program=str(playlists.key),
            count=len(refused),
            why=next(iter(refused.values())),
        )


def _text(value: str | int | float) -> str:
    """4.2: a quoted string has no double quote and no line break, and no way to escape one."""
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(_quotable(character) for character in text)


def _quotable(character: str) -> str:
    if character == '"':
        return "'"
    if character.isprintable():
        return character
    return " " if unicodedata.category(character).startswith("Z") else ""
