"""The whole stack of one machine: addresses, embedded servers, our roles, `endpoints.json`.

    async with Stack(StackOptions(data_dir=folder, port_base=0)) as stack:
        stack.endpoints.control_url

Invariant: after `stop`, after `run` was cancelled and after a failed start, no process is left and
the data folder is free.
"""

import asyncio
import contextlib
import sys
from types import TracebackType

from infra.supervisor.crew import Crew
from infra.supervisor.endpoints import Endpoints, RoleEndpoint, write_endpoints
from infra.supervisor.errors import StackError
from infra.supervisor.folder import DataFolder
from infra.supervisor.layout import Layout, plan_layout
from infra.supervisor.options import StackOptions, is_loopback
from infra.supervisor.policy import RestartLimits
from infra.supervisor.ports import (
    LOOPBACK,
    PortPlan,
    PortReservation,
    busy_ports,
    reserve_block,
)
from infra.supervisor.relay import Relay
from infra.supervisor.runner import RoleStatus


class Stack:
    """Start it with `async with`, or `start` and `stop`, or run it with `run`."""

    def __init__(self, options: StackOptions, limits: RestartLimits | None = None) -> None:
        self.options = options
        self.folder = DataFolder(options.data_dir.resolve())
        self._limits = limits
        self._layout: Layout | None = None
        self._crew: Crew | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Stack":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when every role is ready; raises `StackError`, with nothing left, otherwise."""
        self._task = asyncio.create_task(self.run(), name="stack")
        try:
            async with asyncio.timeout(self.options.start_timeout_s):
                await self._until_ready(self._task)
        except TimeoutError:
            waiting = self._not_ready()
            await self.stop()
            raise StackError(
                f"the stack was not ready within {self.options.start_timeout_s:g} s: {waiting}; "
                f"logs are in {self.folder.logs}"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop in order; returns when nothing is left."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            # A failure of the run was raised by `start` or is `wait`'s to raise.
            with contextlib.suppress(asyncio.CancelledError, StackError):
                await task

    async def wait(self) -> None:
        """Until the started stack ends by itself, with its error."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def kill(self) -> None:
        """End every process at once; a stop under way then returns quickly."""
        if self._crew is not None:
            self._crew.kill()

    async def run(self) -> None:
        """Set up and supervise until cancelled."""
        self.folder.create()
        lock = await self.folder.lock()
        reservation: PortReservation | None = None
        try:
            if self.options.port_base == 0:
                reservation = await asyncio.to_thread(reserve_block, self.options.host)
            plan = reservation.plan if reservation else self._fixed_plan()
            self._layout = plan_layout(self.options, plan, self.folder, sys.executable)
            self._layout.prepare()
            self._crew = Crew(
                self._layout.roles,
                cwd=self.folder.path,
                log_of=self.folder.log,
                lock_fd=lock,
                limits=self._limits,
                trusted=self._layout.certificate,
                on_change=self._write_endpoints,
            )
            await self._supervise(self._crew, self._layout)
        finally:
            if reservation is not None:
                reservation.release()
            self.folder.unlock(lock)

    async def _supervise(self, crew: Crew, layout: Layout) -> None:
        if layout.relay is None:
            await crew.run()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Relay(*layout.relay).run())
                group.create_task(crew.run())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    @property
    def endpoints(self) -> Endpoints:
        """Where everything is; raises `StackError` before `start` has got that far."""
        if self._layout is None or self._crew is None:
            raise StackError("the stack has not been started")
        roles = {
            status.name: RoleEndpoint(
                pid=status.pid,
                url=self._crew.roles[status.name].url,
                log=str(self.folder.log(status.name)),
            )
            for status in self._crew.statuses
        }
        return self._layout.endpoints(roles)

    @property
    def statuses(self) -> list[RoleStatus]:
        return self._crew.statuses if self._crew else []

    @property
    def ready(self) -> bool:
        return self._crew is not None and self._crew.ready

    async def change(self) -> None:
        """Returns when a role changed after the call."""
        if self._crew is None:
            await asyncio.sleep(0.02)
        else:
            await self._crew.change()

    async def _until_ready(self, task: asyncio.Task[None]) -> None:
        while not self.ready:
            change = asyncio.ensure_future(self.change())
            try:
                await asyncio.wait({change, task}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                change.cancel()
            if task.done():
                await task
                raise StackError("the stack ended while it was starting")

    def _not_ready(self) -> str:
        parts = [
            f"{status.name} is {status.phase}" + (f" ({status.detail})" if status.detail else "")
            for status in self.statuses
            if status.phase != "ready"
        ]
        return ", ".join(parts) or "nothing was started"

    def _fixed_plan(self) -> PortPlan:
        plan = PortPlan(self.options.port_base)
        busy = set(busy_ports(self.options.host, plan))
        if not is_loopback(self.options.host):
            busy |= set(busy_ports(LOOPBACK, plan))
        if busy:
            listed = ", ".join(str(port) for port in sorted(busy))
            raise StackError(
                f"port {listed} is in use on this machine; "
                "stop what listens there, or choose another block with --port-base"
            )
        return plan

    def _write_endpoints(self) -> None:
        write_endpoints(self.folder.path, self.endpoints)
