"""Requests that the origin holds back, seen from its side."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from hotpath.hls.origin import HlsOrigin

T = TypeVar("T")


async def waiting(origin: HlsOrigin, count: int) -> None:
    """Until so many requests are blocked."""
    while origin.waiting != count:
        await asyncio.sleep(0.001)


async def blocked(origin: HlsOrigin, request: Awaitable[T]) -> "asyncio.Task[T]":
    """The request as a task that has been blocked by the origin."""
    before = origin.waiting
    task = asyncio.ensure_future(request)
    await waiting(origin, before + 1)
    return task
