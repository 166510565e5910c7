"""One running role process behind its guard: spawn it, wait for it, end it.

Upstream: `runner.py`. Downstream: `guard.py`, which reports the role's own pid and exit status over
a socket pair and kills everything of the role when that socket closes.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.supervisor.errors import StackError

GUARD = Path(__file__).with_name("guard.py")
ORPHAN_GRACE_S = 2.0
"""What a role has left to end by itself after the supervisor was killed."""


class Child:
    """A role process. `pid` is the role's own, not the guard's; it leads a process group."""

    def __init__(
        self,
        pid: int,
        guard: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.pid = pid
        self._guard = guard
        self._reader = reader
        self._writer = writer
        self._status: int | None = None

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        lock_fd: int,
    ) -> "Child":
        """Start the role; its stdout and stderr are appended to `log`."""
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as output:
            guard = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(GUARD)),
                *(str(theirs.fileno()), str(lock_fd), str(ORPHAN_GRACE_S), "--", *argv),
                env=env,
                cwd=cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(theirs.fileno(), lock_fd),
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        word, pid = "", ""
        try:
            word, _, pid = (await reader.readline()).decode().partition(" ")
        finally:
            if word != "started":  # Cancelled, or the guard broke; it ends what it started.
                writer.close()
                await guard.wait()
        if word != "started":
            raise StackError(f"the guard of {argv[0]} ended before it started the role; see {log}")
        return cls(int(pid), guard, reader, writer)

    async def wait(self) -> int:
        """The role's exit status (negative: signal), once it and all its descendants are gone.

        May be cancelled and called again.
        """
        if self._status is None:
            line = (await self._reader.readline()).decode()
            word, _, status = line.partition(" ")
            if word == "exited":
                self._status = int(status)
            else:  # The guard was killed and the kernel killed the role; descendants are left.
                self.kill()
                self._status = -signal.SIGKILL
        self._writer.close()
        await self._guard.wait()
        return self._status

    def terminate(self) -> None:
        """Ask the role to end in order. A role that was stopped by a signal is continued."""
        self._signal(self.pid, signal.SIGTERM)
        self._signal(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the role and its process group at once; the guard takes the other descendants."""
        self._signal(-self.pid, signal.SIGKILL)

    def _signal(self, target: int, number: signal.Signals) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, number)
