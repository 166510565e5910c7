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

import av
import av.logging
from av.error import FFmpegError

from hotpath.encode.h264 import frames_per_second
from hotpath.encode.inbox import Inbox, Waited
from hotpath.encode.job import EncodeError
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
from hotpath.encode.records import Counts, Failure
from hotpath.encode.worker import COUNTS_NS, NICE


class LadderWorker:
    """One job from its first unit to the end of input."""

    def __init__(self, job: LadderJob, out: int) -> None:
        self._out = out
        self._counts: Counter[str] = Counter()
        self._told: dict[str, int] = {}
        self._told_ns = 0
        self._lateness = Lateness(job.settings.late_ms)
        self._overload = Overload()
        source = job.source
        fps = frames_per_second(source, source.timescale)
        self._source = Source(source.width, source.height, fps)
        self._speed = speed()
        admission = admit(job.rungs, self._source, speed=self._speed, cores=job.cores)
        names = tuple(rung.name for rung in admission.kept)
        self._write(Admitted(names, admission.cores, admission.words(job.cores)))
        self._pictures = LadderPictures(job, admission.kept, self._counts)

    def run(self, inbox: Inbox[LadderJob, Fed]) -> None:
        while (waited := inbox.take()) is not None:
            self._counts["skipped"] += waited.skipped
            if waited.skipped:
                self._pictures.lost()
            for output in self._pictures.receive(waited.unit, partial(self._leaves_out, waited)):
                self._write(output)
            self._tell(time.monotonic_ns(), idle=inbox.empty)
        for output in self._pictures.flush():
            self._write(output)
        self._tell(time.monotonic_ns(), idle=True)

    def _leaves_out(self, waited: Waited[Fed]) -> bool:
        now_ns = time.monotonic_ns()
        late = self._lateness.leaves_out(now_ns - waited.received_ns, now_ns)
        if self._overload.receive(late, now_ns) and self._pictures.rungs:
            dropped = self._pictures.drop()
            kept = [each.rung for each in self._pictures.rungs]
            cores = predict(kept, self._source, self._speed)
            names = tuple(rung.name for rung in kept)
            self._write(Admitted(names, cores, overload_words(dropped, kept)))
        return late

    def _tell(self, now_ns: int, *, idle: bool) -> None:
        """Before a pause, and while there is none not too often."""
        if now_ns - self._told_ns >= COUNTS_NS or (idle and self._counts != self._told):
            self._told, self._told_ns = dict(self._counts), now_ns
            self._write(Counts({**+self._counts, CPU_US: time.process_time_ns() // 1000}))

    def _write(self, message: LadderMessage) -> None:
        view = memoryview(pack(message))
        while view:
            view = view[os.write(self._out, view) :]


def main() -> int:
    av.logging.set_level(av.logging.PANIC)
    source, out = sys.stdin.fileno(), sys.stdout.fileno()
    inbox = Inbox(source, LadderReader().receive, LadderJob, Fed)
    try:
        job = inbox.wait_job()
        if job is None:
            return 1 if inbox.error else 0
        os.nice(NICE)
        LadderWorker(job, out).run(inbox)
    except BrokenPipeError:
        return 0
    except (EncodeError, FFmpegError, ValueError) as error:
        os.write(out, pack(Failure(f"{type(error).__name__}: {error}")))
        return 1
    finally:
        inbox.done.set()
    return 0


if __name__ == "__main__":
    sys.exit(main())
