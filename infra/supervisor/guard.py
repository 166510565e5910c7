"""Stands between the supervisor and one role, so that nothing outlives the supervisor.

Run as a script by `child.py`, with the standard library only, so that it starts in milliseconds:
`python -I -S guard.py CONTROL_FD LOCK_FD GRACE_S -- ARGV...`.

Invariant: when the supervisor dies, however it dies, its end of the control socket closes, and the
role with every descendant is gone `GRACE_S` later. When the guard itself is killed, the kernel
kills the role (PR_SET_PDEATHSIG).

It is a subreaper: descendants that lose their parent, or left the process group, become its
children and are found. SIGTERM and SIGINT are passed on to the role. On the socket it writes
`started PID` and `exited STATUS` (negative: signal).
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_EXEC_FAILED = 127
_POLL_S = 0.02


def _prctl(option: int, value: int) -> None:
    """prctl(2); elsewhere than on Linux the control socket alone ends the role."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _spawn(argv: list[str]) -> int:
    guard = os.getpid()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # the child does the same; whoever is first wins
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(_EXEC_FAILED)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvp(argv[0], argv)  # noqa: S606 - a fixed command of the role table
    except OSError as error:
        sys.stderr.write(f"{argv[0]} cannot be run: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(_EXEC_FAILED)


def _children(parent: int) -> list[int]:
    """Processes whose parent is `parent`; zombies too."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold spaces; the parent is the second field after it.
            fields = entry.read_bytes().rpartition(b")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(entry.parent.name))
    return found


def _reap(role: int) -> int | None:
    """Collect ended children; the role's status once it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, raw = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == role:
                status = os.waitstatus_to_exitcode(raw)
    return status


def _kill_rest(role: int) -> None:
    """Kill the role's process group, then whatever else descends from it."""
    with contextlib.suppress(OSError):
        os.killpg(role, signal.SIGKILL)
    while True:
        _reap(0)
        left = _children(os.getpid())
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def _watch(control: int, wake: int, role: int, grace_s: float) -> int:
    """Wait for the role to end or for the supervisor to go; returns the role's status."""
    deadline: float | None = None
    watched = [control, wake]
    while True:
        status = _reap(role)
        if status is not None:
            return status
        if deadline is not None and time.monotonic() >= deadline:
            with contextlib.suppress(OSError):
                os.killpg(role, signal.SIGKILL)
        readable, _, _ = select.select(watched, [], [], None if deadline is None else _POLL_S)
        if wake in readable:
            for number in os.read(wake, 64):
                if number in (signal.SIGTERM, signal.SIGINT):
                    with contextlib.suppress(OSError):
                        os.kill(role, signal.SIGTERM)
        if control in readable and not os.read(control, 64):
            watched.remove(control)
            deadline = time.monotonic() + grace_s
            with contextlib.suppress(OSError):
                os.kill(role, signal.SIGTERM)
                os.kill(role, signal.SIGCONT)


def main() -> int:
    control, lock, grace_s, argv = (
        int(sys.argv[1]),
        int(sys.argv[2]),
        float(sys.argv[3]),
        sys.argv[5:],
    )
    # The data folder stays locked until the last guard is gone, not only until the supervisor is.
    for descriptor in (control, lock):
        os.set_inheritable(descriptor, False)
    wake, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    role = _spawn(argv)
    _tell(control, f"started {role}\n")
    status = _watch(control, wake, role, grace_s)
    _kill_rest(role)
    _tell(control, f"exited {status}\n")
    return 0


def _tell(control: int, line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(control, line.encode())


if __name__ == "__main__":
    sys.exit(main())
