"""Errors of the supervisor."""

from infra.errors import LivepathError


class StackError(LivepathError):
    """The stack cannot start or a role of it cannot run; the message names the role and its log."""
