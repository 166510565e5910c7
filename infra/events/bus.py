"""How every part connects to the bus Valkey: bounded waits, no hidden retries, one error.

Retrying is the caller's to decide, so the client never retries by itself. Driver errors are mapped
to `BusUnavailable` here, and the time limit on replies is set here: the driver's own goes through
`asyncio.wait_for`, which before Python 3.12 can swallow a cancellation, and tasks then never end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry as BlockingRetry

from infra.errors import BusUnavailable, ConfigurationError

CONNECT_TIMEOUT_S = 2.0
REPLY_TIMEOUT_S = 5.0
MAX_BLOCK_MS = 3_000
"""Longest blocking read; below the reply timeout, so that a quiet bus is no dead bus."""


def connect(url: str) -> Redis:
    """A client for the bus; opens no connection yet. Close it with `aclose()`."""
    try:
        # RESP2: replies are the plain lists that the adapters take apart.
        return Redis.from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigurationError("the bus URL cannot be read; write redis://host:port/0") from error


def connect_blocking(url: str) -> redis.Redis:
    """A client for what has no event loop; opens no connection yet."""
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=REPLY_TIMEOUT_S,
            retry=BlockingRetry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigurationError("the bus URL cannot be read; write redis://host:port/0") from error


@asynccontextmanager
async def bus_errors() -> AsyncIterator[None]:
    """Bound the commands inside and map the driver's errors to `BusUnavailable`."""
    try:
        async with asyncio.timeout(REPLY_TIMEOUT_S):
            yield
    except TimeoutError as error:
        raise BusUnavailable(f"the bus gave no answer within {REPLY_TIMEOUT_S:g} s") from error
    except (RedisError, OSError) as error:
        raise BusUnavailable(f"the bus does not answer: {error}") from error


class Backoff:
    """Growing pauses between attempts, from `first` to `last` seconds; `reset` after a success."""

    def __init__(self, first: float = 0.1, last: float = 5.0) -> None:
        self._first = first
        self._last = last
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def pause(self) -> float:
        """Seconds to wait before the next attempt."""
        pause = self._next
        self._next = min(self._last, self._next * 2)
        return pause
