"""The crew over small real processes: order, restart, stop, and nobody left behind."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from infra.supervisor.crew import Crew
from infra.supervisor.errors import StackError
from infra.supervisor.folder import DataFolder
from infra.supervisor.policy import Phase, RestartLimits
from infra.supervisor.roles import Role
from tests.support.processes import alive, until
from tests.support.roles import small_role

pytestmark = pytest.mark.integration

QUICK = RestartLimits(first_ms=20, max_ms=100, stable_ms=60_000, max_failed_starts=3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


CrewFactory = Callable[..., contextlib.AbstractAsyncContextManager[Crew]]


@pytest.fixture
def running(tmp_path: Path) -> CrewFactory:
    """`async with running(role, ...) as crew`: a crew that runs; stopped at the end."""

    @contextlib.asynccontextmanager
    async def factory(*roles: Role, ready: bool = True) -> AsyncIterator[Crew]:
        folder = DataFolder(tmp_path / "data")
        folder.create()
        lock = await folder.lock()
        crew = Crew(roles, cwd=tmp_path, log_of=folder.log, lock_fd=lock, limits=QUICK)
        task = asyncio.create_task(crew.run())
        try:
            if ready:
                await until("the crew is ready", lambda: crew.ready or task.done())
            yield crew
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            folder.unlock(lock)

    return factory


def journal(folder: Path) -> list[str]:
    return (folder / "journal").read_text().splitlines()


def pid_of(crew: Crew, name: str) -> int:
    pid = next(status.pid for status in crew.statuses if status.name == name)
    assert pid is not None
    return pid


async def test_roles_start_after_their_needs_and_stop_before_them(
    running: CrewFactory, tmp_path: Path
) -> None:
    async with running(
        small_role("app", free_port(), tmp_path, needs=("store", "bus")),
        small_role("store", free_port(), tmp_path, needs=("bus",)),
        small_role("bus", free_port(), tmp_path),
    ):
        pass
    names = ["bus started", "store started", "app started"]
    assert journal(tmp_path) == [*names, "app stopped", "store stopped", "bus stopped"]


async def test_a_role_that_outlives_another_stops_after_it_without_waiting_for_it_at_start(
    running: CrewFactory, tmp_path: Path
) -> None:
    async with running(
        small_role("uploader", free_port(), tmp_path, outlives=("media",)),
        small_role("media", free_port(), tmp_path, needs=("uploader",)),
    ):
        pass
    assert journal(tmp_path)[-2:] == ["media stopped", "uploader stopped"]


async def test_a_killed_role_comes_back_with_a_new_pid(
    running: CrewFactory, tmp_path: Path
) -> None:
    async with running(small_role("app", free_port(), tmp_path)) as crew:
        first = pid_of(crew, "app")
        os.kill(first, signal.SIGKILL)
        await until("restarted", lambda: crew.ready and crew.statuses[0].restarts == 1)
        assert pid_of(crew, "app") != first
        assert not alive(first)


async def test_a_role_whose_guard_was_killed_is_gone_and_comes_back(
    running: CrewFactory, tmp_path: Path
) -> None:
    async with running(small_role("app", free_port(), tmp_path, "--grandchildren")) as crew:
        first = pid_of(crew, "app")
        await until("grandchildren run", (tmp_path / "grandchildren").exists)
        direct = int((tmp_path / "grandchildren").read_text().split()[0])
        os.kill(os.getsid(first), signal.SIGKILL)
        await until("restarted", lambda: crew.ready and crew.statuses[0].restarts == 1)
        assert not alive(first)
        assert not alive(direct)


async def test_a_role_that_is_not_ready_says_why(running: CrewFactory, tmp_path: Path) -> None:
    role = small_role("app", free_port(), tmp_path, "--not-ready")
    async with running(role, ready=False) as crew:
        await until("told", lambda: crew.statuses[0].detail == "bus: gone")
        assert crew.statuses[0].phase is Phase.STARTING
        assert not crew.ready


@pytest.mark.parametrize(
    ("status", "reason"),
    [(2, "its settings cannot be used"), (1, "ended 3 times without becoming ready")],
)
async def test_a_role_that_cannot_start_ends_the_crew_with_its_last_words(
    status: int, reason: str, tmp_path: Path
) -> None:
    folder = DataFolder(tmp_path)
    folder.create()
    lock = await folder.lock()
    roles = [
        small_role("bus", free_port(), tmp_path),
        small_role("app", 1, tmp_path, "--exit", str(status), needs=("bus",)),
    ]
    crew = Crew(roles, cwd=tmp_path, log_of=folder.log, lock_fd=lock, limits=QUICK)
    with pytest.raises(StackError, match=reason) as failure:
        await crew.run()
    folder.unlock(lock)
    assert "app: port 1 cannot be used" in str(failure.value)
    assert journal(tmp_path) == ["bus started", "bus stopped"]


async def test_a_stubborn_role_is_killed_after_its_grace(
    running: CrewFactory, tmp_path: Path
) -> None:
    role = small_role("app", free_port(), tmp_path, "--stubborn", stop_grace_s=0.2)
    async with running(role) as crew:
        pid = pid_of(crew, "app")
    assert not alive(pid)


async def test_a_stopped_process_is_continued_so_that_it_can_end_in_order(
    running: CrewFactory, tmp_path: Path
) -> None:
    async with running(small_role("app", free_port(), tmp_path)) as crew:
        os.kill(pid_of(crew, "app"), signal.SIGSTOP)
    assert journal(tmp_path)[-1] == "app stopped"


async def test_grandchildren_go_with_their_role(running: CrewFactory, tmp_path: Path) -> None:
    async with running(small_role("app", free_port(), tmp_path, "--grandchildren")):
        await until("grandchildren run", (tmp_path / "grandchildren").exists)
        pids = [int(pid) for pid in (tmp_path / "grandchildren").read_text().split()]
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


async def test_cancelling_while_a_role_waits_leaves_nothing(
    running: CrewFactory, tmp_path: Path
) -> None:
    async with running(
        small_role("bus", free_port(), tmp_path, "--not-ready"),
        small_role("app", free_port(), tmp_path, needs=("bus",)),
        ready=False,
    ) as crew:
        await until("bus runs", lambda: crew.statuses[0].pid is not None)
        pid = pid_of(crew, "bus")
        assert crew.statuses[1].phase is Phase.WAITING
        assert crew.statuses[1].detail == "for bus"
    assert not alive(pid)


async def test_a_stop_under_way_can_be_cut_short(running: CrewFactory, tmp_path: Path) -> None:
    role = small_role("app", free_port(), tmp_path, "--stubborn", stop_grace_s=600)
    async with running(role) as crew:
        pid = pid_of(crew, "app")
        asyncio.get_running_loop().call_later(0.2, crew.kill)
    assert not alive(pid)


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.create()
    lock = await folder.lock()
    role = dataclasses.replace(small_role("app", 1, tmp_path), argv=("/no/such/program",))
    crew = Crew([role], cwd=tmp_path, log_of=folder.log, lock_fd=lock, limits=QUICK)
    with pytest.raises(StackError, match="/no/such/program cannot be run: No such file"):
        await crew.run()
    folder.unlock(lock)


async def test_the_environment_and_folder_of_a_role_are_its_own(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.create()
    lock = await folder.lock()
    role = dataclasses.replace(
        small_role("app", 1, tmp_path),
        argv=("sh", "-c", "env; pwd; ls -l /proc/self/fd; exit 2"),
        environment={"PATH": os.environ["PATH"], "LIVEPATH_X": "1"},
    )
    crew = Crew([role], cwd=tmp_path, log_of=folder.log, lock_fd=lock, limits=QUICK)
    with pytest.raises(StackError):
        await crew.run()
    folder.unlock(lock)
    log = folder.log("app").read_text()
    assert "LIVEPATH_X=1" in log
    assert "HOME=" not in log
    assert f"\n{tmp_path}\n" in log
    assert "socket:" not in log, "the guard's control socket reached the role"
    assert "/lock" not in log, "the folder's lock reached the role"
