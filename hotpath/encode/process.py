"""The parent's side of one child: its start, its socket, its end.

Invariant: whatever happens, cancellation included, a child that was started is reaped. Starting and
reaping wait in threads, never on the event loop. Used by `hotpath.encode.bridge`.
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

COMMAND = (sys.executable, "-m", "hotpath.encode.worker")


@asynccontextmanager
async def child(
    command: Sequence[str] = COMMAND,
) -> AsyncIterator[tuple["subprocess.Popen[bytes]", socket.socket]]:
    """A running child and the socket that is its stdin and stdout; it is killed on the way out."""
    ours, theirs = socket.socketpair()
    starting = asyncio.create_task(asyncio.to_thread(_start, tuple(command), theirs))
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        ours.close()
        await _end(await starting)
        raise
    except OSError:
        ours.close()
        raise
    try:
        yield process, ours
    finally:
        ours.close()
        await _end(process)


def _start(command: tuple[str, ...], theirs: socket.socket) -> "subprocess.Popen[bytes]":
    with theirs:
        return subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())


async def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    reaping = asyncio.create_task(asyncio.to_thread(process.wait))
    try:
        await asyncio.shield(reaping)
    except asyncio.CancelledError:
        await reaping  # it was killed, so this takes no time
        raise
