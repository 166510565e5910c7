"""The child of a bridge: `python -m hotpath.encode.worker`, one per stream and target.

Reads `records` on stdin and writes them on stdout. Decoders meet bytes from strangers here, so a
crash ends this process and costs one bridge only. It ends when stdin does, so it cannot outlive the
media process, even while a codec is busy. With pictures it runs at a lower priority than that.

Invariant: it is never silently late. Pictures that waited too long are left out whole and counted
(`lateness`), until the queue is short again; the queue itself is bounded, and when it is full the
bridge's is.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

from hotpath.encode.child import NICE, Outlet, serve
from hotpath.encode.inbox import Inbox, Waited
from hotpath.encode.job import Job
from hotpath.encode.lateness import Lateness
from hotpath.encode.picture import PictureBridge
from hotpath.encode.records import Message, Reader, pack
from hotpath.encode.sound import SoundBridge
from hotpath.media.unit import Format, Unit


class Worker:
    """One job from its first unit to the end of input."""

    def __init__(self, job: Job, outlet: Outlet[Message]) -> None:
        self._counts: Counter[str] = Counter()
        self._outlet = outlet
        self._lateness = Lateness(job.settings.late_ms)
        self._sound = self._picture = None
        if job.source.codec.kind == "audio":
            self._sound = SoundBridge(job, self._counts)
            outlet.write(self._sound.format)
        else:
            self._picture = PictureBridge(job, self._counts)

    def run(self, inbox: Inbox[Job, Unit]) -> None:
        while (waited := inbox.take()) is not None:
            for output in self._convert(waited):
                self._outlet.write(output)
            self._outlet.tell(self._counts, time.monotonic_ns(), idle=inbox.empty)
        for output in self._flush():
            self._outlet.write(output)
        self._outlet.tell(self._counts, time.monotonic_ns(), idle=True)

    def _convert(self, waited: Waited[Unit]) -> Iterator[Format | Unit]:
        self._counts["skipped"] += waited.skipped
        if self._sound is not None:
            yield from self._sound.receive(waited.unit)
        elif self._picture is not None:
            if waited.skipped:
                self._picture.lost()
            yield from self._picture.receive(waited.unit, partial(self._leaves_out, waited))

    def _leaves_out(self, waited: Waited[Unit]) -> bool:
        now_ns = time.monotonic_ns()
        return self._lateness.leaves_out(now_ns - waited.received_ns, now_ns)

    def _flush(self) -> Iterator[Format | Unit]:
        if self._sound is not None:
            yield from self._sound.flush()
        elif self._picture is not None:
            yield from self._picture.flush()


def main() -> int:
    outlet = Outlet[Message](sys.stdout.fileno(), pack)

    def work(job: Job, inbox: Inbox[Job, Unit]) -> None:
        if job.source.codec.kind == "video":
            os.nice(NICE)  # sound takes little, and is late at once
        Worker(job, outlet).run(inbox)

    return serve(Reader().receive, Job, Unit, outlet, work)


if __name__ == "__main__":
    sys.exit(main())
