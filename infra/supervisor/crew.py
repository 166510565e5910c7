"""Runs a role table: every role under its runner, started and stopped in the order of its needs.

Upstream: `stack.py`. Invariant: when `run` has returned or raised, no process of the crew is left.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from infra.supervisor.errors import StackError
from infra.supervisor.order import dependents, stages
from infra.supervisor.policy import Phase, RestartLimits
from infra.supervisor.probe import Prober
from infra.supervisor.roles import Role
from infra.supervisor.runner import RoleStatus, Runner


class Crew:
    """`lock_fd` is a descriptor that every guard keeps open; it marks the folder as in use.

    `trusted` is the certificate that roles show to probes, if they speak TLS.
    """

    def __init__(
        self,
        roles: Iterable[Role],
        *,
        cwd: Path,
        log_of: Callable[[str], Path],
        lock_fd: int,
        limits: RestartLimits | None = None,
        trusted: Path | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.roles = {role.name: role for role in roles}
        self._prober = Prober(trusted)
        self._changed = asyncio.Event()
        self._on_change = on_change
        self._runners = {
            name: Runner(
                role,
                cwd=cwd,
                log=log_of(name),
                lock_fd=lock_fd,
                prober=self._prober,
                limits=limits or RestartLimits(),
                on_change=self._note_change,
            )
            for name, role in self.roles.items()
        }
        self._connect()

    def _connect(self) -> None:
        stages({name: role.needs for name, role in self.roles.items()})  # raises on a circle
        stop_after = _stop_order(self.roles)
        for name, runner in self._runners.items():
            runner.connect(
                [self._runners[need] for need in self.roles[name].needs if need in self._runners],
                [self._runners[other] for other in sorted(stop_after[name])],
            )

    async def run(self) -> None:
        """Until cancelled, which is the ordered stop; `StackError` when a role is given up."""
        try:
            async with asyncio.TaskGroup() as group:
                for runner in self._runners.values():
                    group.create_task(runner.run(), name=runner.role.name)
        except BaseExceptionGroup as failed:
            expected, rest = failed.split(StackError)
            if expected is None or rest is not None:
                raise
            raise StackError("; ".join(str(error) for error in _leaves(expected))) from None
        finally:
            await self._prober.close()

    def kill(self) -> None:
        """End every process at once; the running stop then finds nothing left to wait for."""
        for runner in self._runners.values():
            runner.kill()

    @property
    def statuses(self) -> list[RoleStatus]:
        return [runner.status for runner in self._runners.values()]

    @property
    def ready(self) -> bool:
        return all(status.phase is Phase.READY for status in self.statuses)

    async def change(self) -> None:
        """Returns when a role changed after the call."""
        await self._changed.wait()

    def _note_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        self._on_change()


def _stop_order(roles: Mapping[str, Role]) -> dict[str, set[str]]:
    """Role → the roles that stop before it."""
    needs = {name: role.needs for name, role in roles.items()}
    before = {name: dependents(needs, name) for name in roles}
    for name, role in roles.items():
        before[name] |= {other for other in role.outlives if other in roles}
    stages(before)  # raises on a circle
    return before


def _leaves(group: BaseExceptionGroup[StackError]) -> list[StackError]:
    found: list[StackError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
