"""Keeps one role running: start when its needs are up, probe, restart with backoff, stop in order.

Upstream: `stack.py`, which runs one `Runner` per role in a task group; cancelling `run` is the
ordered stop. The decisions are `policy.py`'s; this is the shell that has the clock and the process.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.supervisor.child import Child
from infra.supervisor.errors import StackError
from infra.supervisor.folder import last_lines, trim_log
from infra.supervisor.policy import (
    GiveUp,
    Phase,
    RestartLimits,
    RestartPolicy,
    describe_exit,
)
from infra.supervisor.probe import Prober
from infra.supervisor.roles import Role

STARTING_POLL_S = 0.1
RUNNING_POLL_S = 1.0
KILL_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """What the status table and `endpoints.json` show of a role."""

    name: str
    phase: Phase
    pid: int | None
    detail: str
    restarts: int
    url: str


class Runner:
    """One role's life. `alive` is set while roles that need it may start, `stopped` at the end."""

    def __init__(
        self,
        role: Role,
        *,
        cwd: Path,
        log: Path,
        lock_fd: int,
        prober: Prober,
        limits: RestartLimits,
        on_change: Callable[[], None],
    ) -> None:
        self.role = role
        self.alive = asyncio.Event()
        self.stopped = asyncio.Event()
        self.was_ready = False
        self._log = log
        self._cwd = cwd
        self._lock_fd = lock_fd
        self._prober = prober
        self._policy = RestartPolicy(limits)
        self._on_change = on_change
        self._child: Child | None = None
        self._phase = Phase.WAITING
        self._detail = ""
        self._needs: list[Runner] = []
        self._stop_after: list[Runner] = []

    def connect(self, needs: Iterable["Runner"], stop_after: Iterable["Runner"]) -> None:
        """Tell it which runners it starts after and which it stops after."""
        self._needs, self._stop_after = list(needs), list(stop_after)

    @property
    def status(self) -> RoleStatus:
        return RoleStatus(
            self.role.name,
            self._phase,
            self._child.pid if self._child else None,
            self._detail,
            self._policy.restarts,
            self.role.shown_url,
        )

    async def run(self) -> None:
        """Until cancelled. Raises `StackError` when the role cannot be brought up at all."""
        try:
            for need in self._needs:
                self._enter(Phase.WAITING, f"for {need.role.name}")
                await need.alive.wait()
            while True:
                await self._restart_after(await self._live())
        except asyncio.CancelledError:
            await self._wait_for_dependents()
            raise
        finally:
            await self._stop()

    def kill(self) -> None:
        """End the process at once, whatever it does; for a second Ctrl-C."""
        if self._child is not None:
            self._child.kill()

    async def _live(self) -> int:
        """One process from start to exit; returns its status."""
        await asyncio.to_thread(trim_log, self._log)
        self._child = await Child.spawn(
            self.role.argv,
            env=self.role.environment,
            cwd=self._cwd,
            log=self._log,
            lock_fd=self._lock_fd,
        )
        self._enter(Phase.STARTING, "")
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch_health())
            status = await self._child.wait()
            watch.cancel()
        return status

    async def _watch_health(self) -> None:
        while True:
            reason = await self._prober.check(self.role.ready)
            if not self.alive.is_set() and await self._is_alive(reason):
                self.alive.set()
            if reason is None:
                self._policy.receive_ready(_now_ms())
                self.was_ready = True
                self._enter(Phase.READY, "")
            elif self._phase in (Phase.READY, Phase.NOT_READY):
                self._enter(Phase.NOT_READY, reason)
            else:
                self._enter(Phase.STARTING, reason)
            if self._phase is Phase.STARTING:
                await asyncio.sleep(STARTING_POLL_S)
            else:
                await asyncio.sleep(RUNNING_POLL_S)
                await asyncio.to_thread(trim_log, self._log)

    async def _is_alive(self, ready_reason: str | None) -> bool:
        if self.role.alive == self.role.ready:
            return ready_reason is None
        return await self._prober.check(self.role.alive) is None

    async def _restart_after(self, returncode: int) -> None:
        self._child = None
        self.alive.clear()
        decision = self._policy.receive_exit(returncode, _now_ms())
        why = describe_exit(returncode)
        if isinstance(decision, GiveUp):
            self._enter(Phase.FAILED, f"{why}; {decision.reason}")
            raise StackError(self._failure(why, decision))
        self._enter(Phase.BACKOFF, f"{why}; again in {decision.delay_ms / 1000:g} s")
        await asyncio.sleep(decision.delay_ms / 1000)

    def _failure(self, why: str, decision: GiveUp) -> str:
        tail = "".join(f"\n    {line}" for line in last_lines(self._log))
        return f"{self.role.name} does not start ({why}; {decision.reason}); {self._log}:{tail}"

    async def _wait_for_dependents(self) -> None:
        if self._child is not None:
            for other in self._stop_after:
                if not other.stopped.is_set():
                    self._enter(Phase.STOPPING, f"after {other.role.name}")
                    await other.stopped.wait()
            self._enter(Phase.STOPPING, "")

    async def _stop(self) -> None:
        """End the process, if one runs: SIGTERM, a grace, SIGKILL."""
        try:
            if self._child is not None:
                await self._end(self._child)
        finally:
            self._child = None
            self.alive.clear()
            self.stopped.set()
            if self._phase is not Phase.FAILED:
                self._enter(Phase.STOPPED, "")

    async def _end(self, child: Child) -> None:
        child.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.role.stop_grace_s):
                await child.wait()
                return
        child.kill()
        async with asyncio.timeout(KILL_WAIT_S):
            await child.wait()

    def _enter(self, phase: Phase, detail: str) -> None:
        if (phase, detail) != (self._phase, self._detail):
            self._phase, self._detail = phase, detail
            self._on_change()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
