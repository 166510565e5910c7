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
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import av
import av.logging
from av.error import FFmpegError

from hotpath.encode.job import EncodeError, Job
from hotpath.encode.lateness import Lateness
from hotpath.encode.picture import PictureBridge
from hotpath.encode.records import Counts, Failure, Message, Reader, pack
from hotpath.encode.sound import SoundBridge
from hotpath.media.records import RecordError
from hotpath.media.unit import Format, Unit

NICE = 5
MAX_BYTES = 8 * 1024 * 1024
HOPELESS = 3
"""A queue older than so many times the limit is skipped up to its newest keyframe."""
COUNTS_NS = 250_000_000
GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Waited:
    unit: Unit
    received_ns: int
    skipped: int
    """Units that were left out right before this one."""


class Inbox:
    """What the bridge has sent and the codec has not taken; a thread of its own fills it."""

    def __init__(self, fd: int) -> None:
        self.job: Job | None = None
        self.error: RecordError | None = None
        self._fd = fd
        self._hopeless_ns = 0
        self._units: deque[tuple[Unit, int]] = deque()
        self._bytes = 0
        self._ended = False
        self._changed = threading.Condition()
        self.done = threading.Event()
        threading.Thread(target=self._fill, name="inbox", daemon=True).start()

    @property
    def empty(self) -> bool:
        return not self._units

    def wait_job(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self.job is not None or self._ended)
            return self.job

    def take(self) -> Waited | None:
        """The next unit; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._units) or self._ended)
            skipped = self._skip() if self._units else 0
            if not self._units:
                return None
            unit, received_ns = self._units.popleft()
            self._bytes -= len(unit.data)
            self._changed.notify_all()
            return Waited(unit, received_ns, skipped)

    def _skip(self) -> int:
        """Leave out a queue that even decoding cannot catch up with, up to its newest keyframe."""
        if time.monotonic_ns() - self._units[0][1] < self._hopeless_ns:
            return 0
        newest = max((n for n, (unit, _) in enumerate(self._units) if unit.keyframe), default=0)
        for _ in range(newest):
            self._bytes -= len(self._units.popleft()[0].data)
        return newest

    def _fill(self) -> None:
        reader = Reader()
        try:
            while data := os.read(self._fd, 1 << 18):
                self._put(reader.receive(data, time.time_ns()))
        except RecordError as error:
            self.error = error
        except OSError:
            pass  # the bridge is gone
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if not self.done.wait(GRACE_S):
            os._exit(1)  # the codec hangs, and nobody is left who wants what it makes

    def _put(self, messages: list[Message]) -> None:
        now_ns = time.monotonic_ns()
        with self._changed:
            for message in messages:
                if isinstance(message, Job):
                    self.job = message
                    self._hopeless_ns = HOPELESS * message.settings.late_ms * 1_000_000
                elif isinstance(message, Unit):
                    self._units.append((message, now_ns))
                    self._bytes += len(message.data)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._bytes < MAX_BYTES)


class Worker:
    """One job from its first unit to the end of input."""

    def __init__(self, job: Job, out: int) -> None:
        self._counts: Counter[str] = Counter()
        self._out = out
        self._told: dict[str, int] = {}
        self._told_ns = 0
        self._lateness = Lateness(job.settings.late_ms)
        self._sound = self._picture = None
        if job.source.codec.kind == "audio":
            self._sound = SoundBridge(job, self._counts)
            self._write(self._sound.format)
        else:
            self._picture = PictureBridge(job, self._counts)

    def run(self, inbox: Inbox) -> None:
        while (waited := inbox.take()) is not None:
            for output in self._convert(waited):
                self._write(output)
            self._tell(time.monotonic_ns(), idle=inbox.empty)
        for output in self._flush():
            self._write(output)
        self._tell(time.monotonic_ns(), idle=True)

    def _convert(self, waited: Waited) -> Iterator[Format | Unit]:
        self._counts["skipped"] += waited.skipped
        if self._sound is not None:
            yield from self._sound.receive(waited.unit)
        elif self._picture is not None:
            if waited.skipped:
                self._picture.lost()
            yield from self._picture.receive(waited.unit, partial(self._leaves_out, waited))

    def _leaves_out(self, waited: Waited) -> bool:
        now_ns = time.monotonic_ns()
        return self._lateness.leaves_out(now_ns - waited.received_ns, now_ns)

    def _flush(self) -> Iterator[Format | Unit]:
        if self._sound is not None:
            yield from self._sound.flush()
        elif self._picture is not None:
            yield from self._picture.flush()

    def _tell(self, now_ns: int, *, idle: bool) -> None:
        """Before a pause, and while there is none not too often."""
        due = idle or now_ns - self._told_ns >= COUNTS_NS
        if due and self._counts != self._told:
            self._told, self._told_ns = dict(self._counts), now_ns
            self._write(Counts(dict(+self._counts)))

    def _write(self, message: Message) -> None:
        view = memoryview(pack(message))
        while view:
            view = view[os.write(self._out, view) :]


def main() -> int:
    av.logging.set_level(av.logging.PANIC)
    source, out = sys.stdin.fileno(), sys.stdout.fileno()
    inbox = Inbox(source)
    try:
        job = inbox.wait_job()
        if job is None:
            return 1 if inbox.error else 0
        if job.source.codec.kind == "video":
            os.nice(NICE)  # sound takes little, and is late at once
        Worker(job, out).run(inbox)
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
