"""Processes that functions start and leave behind.

Invariant: what an attempt has started is gone when the process that ran it takes the next one, and
soon after that process was killed, however deep it lies and whatever group or session it made for
itself: who runs attempts is a subreaper, so a process that loses its parent becomes its child and
is found. Where the kernel does not list children, as Linux does, nothing is done.

Upstream: `coldpath.worker`. Downstream: the kernel.
"""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from celery import bootsteps

log = logging.getLogger(__name__)

LOOK_S = 1.0
_PR_SET_CHILD_SUBREAPER = 36
_DEADLINE_S = 5.0
_AGAIN_S = 0.01


def adopt() -> None:
    """Become the parent of descendants that lose theirs; not inherited by children."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def leaving_no_children(of: str) -> Iterator[None]:
    """Kills what was started within, and said by whom."""
    before = children()
    try:
        yield
    finally:
        end_children(before, of)


def children() -> set[int]:
    """Of this process, those that have ended and were not waited for included."""
    found = set[int]()
    for thread in Path("/proc/self/task").glob("*/children"):
        # A thread may have ended meanwhile; its children are then another one's.
        with contextlib.suppress(OSError):
            found.update(map(int, thread.read_text().split()))
    return found


def end_children(kept: Collection[int], of: str) -> int:
    """Kills every child but `kept`, and the children that this makes this process's; returns how
    many. Gives up on those that do not die in `_DEADLINE_S`: they wait for a device."""
    until, ended = time.monotonic() + _DEADLINE_S, set[int]()
    while (left := children() - set(kept)) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        ended |= left
        time.sleep(_AGAIN_S)
    if ended:
        log.warning("%s left %d processes behind; they were killed", of, len(ended))
    return len(ended)


def orphan_step(processes: Callable[[], Collection[int]]) -> type[bootsteps.StartStopStep]:
    """A step for `app.steps["worker"]` that ends what processes of the pool left that were killed:
    children of the main process that are none of `processes`."""

    class Orphans(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

        def __init__(self, parent: Any, **_: Any) -> None:
            self._timer: Any = None

        def start(self, parent: Any) -> None:
            self._timer = parent.timer.call_repeatedly(LOOK_S, self._look, ())

        def stop(self, parent: Any) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _look(self) -> None:
            pool = processes()
            # While there is none, nobody can tell who is whose.
            if pool:
                end_children(pool, "a process that was killed")

    return Orphans
