"""Starts a whole stack on one machine as supervised child processes.

`Stack` is the entry point; `livepath up`, `livepath demo` and the tests stand on it.
"""

from infra.supervisor.endpoints import Endpoints, RoleEndpoint
from infra.supervisor.errors import StackError
from infra.supervisor.options import StackOptions
from infra.supervisor.stack import Stack

__all__ = ["Endpoints", "RoleEndpoint", "Stack", "StackError", "StackOptions"]
