"""The child of a ladder: `python -m hotpath.encode.ladder_worker`, one per programme.

Reads `ladder_records` on stdin and writes them on stdout. It ends when stdin does, after it has
sent what it still has, and runs at a lower priority than the media process.

Invariant: it is never silently late. What this machine cannot do is refused before the first
picture and, where lateness persists, ended later, in words; pictures that waited too long are left
out of all rungs and counted.
"""

import os
import sys
import time
from collections import Counter
from functools import partial

from hotpath.encode.child import NICE, Outlet, serve
from hotpath.encode.h264 import frames_per_second
from hotpath.encode.inbox import Inbox, Waited
from hotpath.encode.ladder_admission import Overload, Source, admit, overload_words, predict
from hotpath.encode.ladder_calibrate import speed
from hotpath.encode.ladder_job import LadderJob
from hotpath.encode.ladder_pictures import LadderPictures
from hotpath.encode.ladder_records import (
    CPU_US,
    Admitted,
    Fed,
    LadderMessage,
    LadderReader,
    pack,
)
from hotpath.encode.lateness import Lateness


class LadderWorker:
    """One job from its first unit to the end of input."""

    def __init__(self, job: LadderJob, outlet: Outlet[LadderMessage]) -> None:
        self._outlet = outlet
        self._counts: Counter[str] = Counter()
        self._lateness = Lateness(job.settings.late_ms)
        self._overload = Overload()
        source = job.source
        fps = frames_per_second(source, source.timescale)
        self._source = Source(source.width, source.height, fps)
        self._speed = speed(self._counts)
        admission = admit(job.rungs, self._source, speed=self._speed, cores=job.cores)
        names = tuple(rung.name for rung in admission.kept)
        self._outlet.write(Admitted(names, admission.cores, admission.words(job.cores)))
        self._pictures = LadderPictures(job, admission.kept, self._counts)

    def run(self, inbox: Inbox[LadderJob, Fed]) -> None:
        while (waited := inbox.take()) is not None:
            self._counts["skipped"] += waited.skipped
            if waited.skipped:
                self._pictures.lost()
            for output in self._pictures.receive(waited.unit, partial(self._leaves_out, waited)):
                self._outlet.write(output)
            self._tell(idle=inbox.empty)
        for output in self._pictures.flush():
            self._outlet.write(output)
        self._tell(idle=True)

    def _leaves_out(self, waited: Waited[Fed]) -> bool:
        now_ns = time.monotonic_ns()
        late = self._lateness.leaves_out(now_ns - waited.received_ns, now_ns)
        if self._overload.receive(late, now_ns) and self._pictures.rungs:
            dropped = self._pictures.drop()
            kept = [each.rung for each in self._pictures.rungs]
            cores = predict(kept, self._source, self._speed)
            names = tuple(rung.name for rung in kept)
            self._outlet.write(Admitted(names, cores, overload_words(dropped, kept)))
        return late

    def _tell(self, *, idle: bool) -> None:
        measured = {CPU_US: time.process_time_ns() // 1000}
        self._outlet.tell(self._counts, time.monotonic_ns(), idle=idle, measured=measured)


def main() -> int:
    outlet = Outlet[LadderMessage](sys.stdout.fileno(), pack)

    def work(job: LadderJob, inbox: Inbox[LadderJob, Fed]) -> None:
        os.nice(NICE)
        LadderWorker(job, outlet).run(inbox)

    return serve(LadderReader().receive, LadderJob, Fed, outlet, work)


if __name__ == "__main__":
    sys.exit(main())
