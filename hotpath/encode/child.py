"""What every child of this package does around its codecs: the job it waits for, the way out, its
last words.

Invariant: messages leave whole and in order. The child ends when its stdin does, and what it dies
of is the last thing it says. Used by `worker` and `ladder_worker`.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import av
import av.logging
from av.error import FFmpegError

from hotpath.encode.inbox import Inbox, J, U
from hotpath.encode.job import EncodeError
from hotpath.encode.records import Counts, Failure

NICE = 5
"""How much lower than the media process's the priority of pictures is."""
COUNTS_NS = 250_000_000

M = TypeVar("M")


class Outlet(Generic[M]):
    """The child's stdout; see the module for the invariant."""

    def __init__(self, out: int, pack: Callable[[M | Counts | Failure], bytes]) -> None:
        self._out = out
        self._pack = pack
        self._told: dict[str, int] = {}
        self._told_ns = 0

    def write(self, message: M | Counts | Failure) -> None:
        view = memoryview(self._pack(message))
        while view:
            view = view[os.write(self._out, view) :]

    def tell(
        self,
        counts: Mapping[str, int],
        now_ns: int,
        *,
        idle: bool,
        measured: Mapping[str, int] | None = None,
    ) -> None:
        """Counts that changed, before a pause, and while there is none not too often.

        `measured` always changes, so it alone is no reason to speak before the time is up.
        """
        passed = now_ns - self._told_ns >= COUNTS_NS
        if (counts != self._told and (idle or passed)) or (measured and passed):
            self._told, self._told_ns = dict(counts), now_ns
            counted = {name: count for name, count in counts.items() if count > 0}
            self.write(Counts({**counted, **(measured or {})}))


def serve(
    receive: Callable[[bytes, int], Sequence[object]],
    job_type: type[J],
    unit_type: type[U],
    outlet: Outlet[M],
    work: Callable[[J, Inbox[J, U]], None],
) -> int:
    """Do the one job that comes on stdin; the exit status."""
    av.logging.set_level(av.logging.PANIC)
    inbox = Inbox(sys.stdin.fileno(), receive, job_type, unit_type)
    try:
        job = inbox.wait_job()
        if job is None:
            return 1 if inbox.error else 0
        work(job, inbox)
    except BrokenPipeError:
        return 0
    except (EncodeError, FFmpegError, ValueError) as error:
        outlet.write(Failure(f"{type(error).__name__}: {error}"))
        return 1
    finally:
        inbox.done.set()
    return 0
