"""A whole stack for tests: on free ports, in a folder of its own, with hands on each process.

    async with running_stack(tmp_path / "data") as stack:
        stack.kill("media")
        await stack.until_ready()

`stack_on_thread` keeps one alive over many tests, whatever event loop they use.
"""

import asyncio
import contextlib
import os
import signal
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import httpx2
import psutil

from infra.supervisor import Endpoints, Stack, StackOptions
from infra.supervisor.policy import RestartLimits
from infra.supervisor.runner import RoleStatus
from tests.support.processes import alive

READY_S = 90.0
# What a test waits for does not give way to another test.
EAGER = {"LIVEPATH_WORKER_NICENESS": "0"}
# Tests kill roles on purpose and wait for them, so they do not wait long between restarts.
QUICK_RESTARTS = RestartLimits(first_ms=50, max_ms=500)


class RunningStack:
    """A started stack; roles are named as in `endpoints.json`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @property
    def endpoints(self) -> Endpoints:
        return self._stack.endpoints

    @property
    def data_dir(self) -> Path:
        return self._stack.folder.path

    @property
    def api_key(self) -> str:
        return self._stack.folder.api_key.read_text().strip()

    def status(self, role: str) -> RoleStatus:
        return next(status for status in self._stack.statuses if status.name == role)

    def pid(self, role: str) -> int:
        """The process that runs now; fails while the role is down."""
        pid = self.status(role).pid
        if pid is None:
            raise AssertionError(f"{role} is {self.status(role).phase}: {self.status(role).detail}")
        return pid

    def log(self, role: str) -> str:
        return self._stack.folder.log(role).read_text(errors="replace")

    def kill(self, role: str) -> int:
        """`kill -9`; returns the pid that is gone."""
        return self._signal(role, signal.SIGKILL)

    def pause(self, role: str) -> int:
        """SIGSTOP: the process keeps its sockets and answers nothing."""
        return self._signal(role, signal.SIGSTOP)

    def resume(self, role: str) -> int:
        return self._signal(role, signal.SIGCONT)

    def give_up(self) -> None:
        """End everything at once: the stop that is under way then has nothing to wait for."""
        self._stack.kill()

    def _signal(self, role: str, number: signal.Signals) -> int:
        pid = self.pid(role)
        os.kill(pid, number)
        return pid

    def processes(self) -> list[psutil.Process]:
        """Everything that descends from this process, guards included."""
        return psutil.Process().children(recursive=True)

    async def until_ready(self, timeout_s: float = READY_S) -> None:
        """Every role is ready; one that was just killed must have been replaced first."""
        async with asyncio.timeout(timeout_s):
            while not (self._stack.ready and all(alive(s.pid or 0) for s in self._stack.statuses)):
                await asyncio.sleep(0.05)

    async def until_replaced(self, role: str, old: int, timeout_s: float = READY_S) -> int:
        """The role runs under another pid than `old` and is ready; returns the new one."""
        async with asyncio.timeout(timeout_s):
            while True:
                status = self.status(role)
                if status.pid not in (None, old) and status.phase == "ready":
                    return self.pid(role)
                await asyncio.sleep(0.05)

    def client(self) -> httpx2.AsyncClient:
        """Talks to the control API with the development key."""
        return httpx2.AsyncClient(
            base_url=self.endpoints.control_url,
            headers={"Authorization": f"Bearer {self.api_key}"},
            trust_env=False,
            verify=self.trust(),
        )

    def trust(self) -> ssl.SSLContext | bool:
        """What a client of this stack trusts: its own certificate, where it has one."""
        file = self.endpoints.certificate_file
        return True if file is None else ssl.create_default_context(cafile=file)


def stack_options(
    data_dir: Path,
    *,
    only: frozenset[str] | None = None,
    environment: Mapping[str, str] | None = None,
    database_url: str | None = None,
    tls: bool = False,
) -> StackOptions:
    return StackOptions(
        data_dir=data_dir,
        port_base=0,
        only=only,
        environment={**EAGER, **(environment or {})},
        database_url=database_url,
        tls=tls,
        start_timeout_s=READY_S,
    )


@contextlib.asynccontextmanager
async def running_stack(
    data_dir: Path,
    *,
    only: frozenset[str] | None = None,
    environment: Mapping[str, str] | None = None,
    database_url: str | None = None,
    tls: bool = False,
) -> AsyncIterator[RunningStack]:
    """A stack that lives as long as the block; `only` starts just these roles."""
    options = stack_options(
        data_dir, only=only, environment=environment, database_url=database_url, tls=tls
    )
    async with Stack(options, QUICK_RESTARTS) as stack:
        yield RunningStack(stack)


@contextlib.contextmanager
def stack_on_thread(
    data_dir: Path,
    *,
    only: frozenset[str] | None = None,
    environment: Mapping[str, str] | None = None,
    database_url: str | None = None,
) -> Iterator[RunningStack]:
    """As `running_stack`, supervised by a thread with a loop of its own: for fixtures that span
    tests, each of which has its own loop, and for tests without one."""
    ready = threading.Event()
    outcome: list[RunningStack | BaseException] = []
    finish: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def live() -> None:
        done = asyncio.Event()
        finish.append((asyncio.get_running_loop(), done))
        async with running_stack(
            data_dir, only=only, environment=environment, database_url=database_url
        ) as stack:
            outcome.append(stack)
            ready.set()
            await done.wait()
            # Nobody looks at it any more; an orderly stop is for the supervisor's own tests.
            asyncio.get_running_loop().call_soon(stack.give_up)

    def supervise() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            outcome.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=supervise, name="stack")
    thread.start()
    ready.wait()
    first = outcome[0]
    if not isinstance(first, RunningStack):
        thread.join()
        raise first
    try:
        yield first
    finally:
        loop, done = finish[0]
        loop.call_soon_threadsafe(done.set)
        thread.join()
    if isinstance(outcome[-1], BaseException):
        raise outcome[-1]
