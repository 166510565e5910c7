"""When a role that ended is started again: a pure state machine.

Invariant: delays between restarts double from `first_ms` to `max_ms` and fall back to `first_ms`
only after the role has been ready for `stable_ms`; a role that never became ready and cannot
(configuration error, or `max_failed_starts` in a row) is given up, one that was ready never is.

The runner tells it what happened and when (`now_ms`, any monotonic clock); it answers what to do.
"""

from dataclasses import dataclass
from enum import StrEnum

CONFIGURATION_EXIT = 2
"""Exit status by which a role says that its settings cannot be used."""


class Phase(StrEnum):
    WAITING = "waiting"
    """For the roles that it needs."""
    STARTING = "starting"
    """The process runs but is not ready yet."""
    READY = "ready"
    NOT_READY = "not ready"
    """It was ready, runs, and says that it is not."""
    BACKOFF = "backoff"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class RestartLimits:
    first_ms: int = 200
    max_ms: int = 10_000
    stable_ms: int = 10_000
    max_failed_starts: int = 5


@dataclass(frozen=True, slots=True)
class Restart:
    """Start the role again after `delay_ms`."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The role cannot run; `reason` is for people."""

    reason: str


class RestartPolicy:
    """Decides restarts of one role."""

    def __init__(self, limits: RestartLimits = RestartLimits()) -> None:
        self._limits = limits
        self._ready_since: int | None = None
        self._was_ready = False
        self._failures = 0
        self.restarts = 0

    def receive_ready(self, now_ms: int) -> None:
        """The role answered that it is ready; repeated calls count from the first."""
        self._was_ready = True
        if self._ready_since is None:
            self._ready_since = now_ms

    def receive_exit(self, returncode: int, now_ms: int) -> Restart | GiveUp:
        """The role's process ended by itself."""
        stable = (
            self._ready_since is not None and now_ms - self._ready_since >= self._limits.stable_ms
        )
        self._ready_since = None
        self._failures = 1 if stable else self._failures + 1
        if not self._was_ready:
            if returncode == CONFIGURATION_EXIT:
                return GiveUp("its settings cannot be used")
            if self._failures >= self._limits.max_failed_starts:
                return GiveUp(f"it ended {self._failures} times without becoming ready")
        self.restarts += 1
        doubled: int = self._limits.first_ms * 2 ** min(self._failures - 1, 20)
        return Restart(min(doubled, self._limits.max_ms))


def describe_exit(returncode: int) -> str:
    """An exit status in words; negative values are signals, as in `subprocess`."""
    return f"killed by signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
