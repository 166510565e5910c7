"""Public events as lines for people. Pure. Upstream: `infra.cli.screens`, `infra.cli.listener`."""

from typing import TYPE_CHECKING

from infra.cli.output import when, words

if TYPE_CHECKING:
    from infra.client.models import Message

_LEFT_OUT = frozenset({"name", "description", "asset", "key", "content_type"})
"""Said elsewhere, or too long for a line."""


def line(message: "Message") -> str:
    """When, what, and what about it."""
    return f"{when(message.timestamp):<20}  {message.type:<20}  {about(message)}".rstrip()


def about(message: "Message") -> str:
    data = message.data
    if "previous" in data:
        return f"{data['previous']} → {data.get('state')}"
    if "changed" in data:
        return ", ".join(str(name) for name in data["changed"])
    if "message" in data:
        return str(data["message"])
    return words({name: value for name, value in data.items() if _is_short(name, value)})


def _is_short(name: str, value: object) -> bool:
    return name not in _LEFT_OUT and isinstance(value, str | int | float)
