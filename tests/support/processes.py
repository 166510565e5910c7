"""Waiting for things to become true, and looking at processes."""

import asyncio
import time
from collections.abc import Callable

import psutil


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(
    what: str, condition: Callable[[], bool], timeout_s: float = 20.0, poll_s: float = 0.02
) -> None:
    """Return once `condition` holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        await asyncio.sleep(poll_s)
