"""The control API for Python programs: see docs/client.md.

Invariant: imports nothing else of Livepath, so that it can be a package of its own.
"""

from infra.client.client import AsyncClient, Client
from infra.client.errors import (
    ApiError,
    BadSignature,
    BadValue,
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    WaitedInVain,
)
from infra.client.retries import Retries
from infra.client.signatures import verify

__all__ = [
    "ApiError",
    "AsyncClient",
    "BadSignature",
    "BadValue",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "Invalid",
    "NotFound",
    "PreconditionFailed",
    "RateLimited",
    "Retries",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitedInVain",
    "verify",
]
