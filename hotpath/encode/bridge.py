"""A bridge: one stream's units in, the same stream in another codec out, by way of a child process.

Invariant: `send` never waits and holds no more than its bounds; outputs arrive on the event loop in
order. A child that crashes is replaced, a few times; after that `on_failed` is called once with
words for a person, and nothing more comes. After `close` nothing comes at all.

Upstream: `hotpath.node` gives it units, of a publisher or of the bus. Downstream: `on_output`.
The codecs run in `worker`; this process never loads them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from hotpath.encode.job import EncodeError, EncodeSettings, Job
from hotpath.encode.life import BACKOFF_S, READ, Life
from hotpath.encode.process import COMMAND
from hotpath.encode.records import Counts, Failure, Message, Reader, pack
from hotpath.encode.supply import Supply
from hotpath.media.records import RecordError
from hotpath.media.unit import Codec, Format, Unit

log = structlog.get_logger(__name__)

OnOutput = Callable[[Format, Sequence[Unit]], None]
"""The format in force and units in it; without units where a format is just known."""
OnFailed = Callable[[str], None]

MAX_SOUND_UNITS = 64
"""More than a second: what a child needs to start."""
MAX_PICTURE_UNITS = 1024
"""The GOP that a reader of the bus joins in comes at once."""
MAX_BYTES = 16 * 1024 * 1024


class Bridge:
    """One stream from one codec to another; see the module for the invariant."""

    def __init__(
        self,
        source: Format,
        target: Codec,
        *,
        clock_in: int,
        clock_out: int,
        on_output: OnOutput,
        on_failed: OnFailed,
        settings: EncodeSettings | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.job = Job(source, target, clock_in, clock_out, settings or EncodeSettings())
        self.format: Format | None = None
        """What comes out, once it is known."""
        self._on_output = on_output
        self._on_failed = on_failed
        self._life = Life(f"bridge {self.job.name}", command, self, self._fail)
        video = source.codec.kind == "video"
        units = MAX_PICTURE_UNITS if video else MAX_SOUND_UNITS
        self._supply = Supply[Unit](pack, video=video, max_units=units, max_bytes=MAX_BYTES)

    @property
    def counts(self) -> Counter[str]:
        """Units and frames that were left out or repaired, by reason."""
        return self._supply.counts

    @property
    def waiting(self) -> int:
        """Units that the child has not been given yet."""
        return len(self._supply)

    @property
    def closed(self) -> bool:
        return self._life.closed

    @property
    def failed(self) -> bool:
        return self._life.failed

    @property
    def restarts(self) -> int:
        return self._life.restarts

    @property
    def pid(self) -> int | None:
        """Of the present child."""
        return self._life.pid

    def send(self, units: Sequence[Unit]) -> None:
        """Units of the source, in stream order; `EncodeError` once the bridge has failed."""
        if self.failed:
            raise EncodeError(f"the bridge {self.job.name} has failed: make another")
        if self.closed:
            return
        self._supply.offer(units)

    def close(self) -> None:
        """Nothing is wanted any more; `run` returns."""
        self._life.close()

    async def run(self) -> None:
        """Owns the child. Until `close`, failure, or cancellation."""
        await self._life.run()

    def _fail(self) -> None:
        source, target = (c.value.upper() for c in (self.job.source.codec, self.job.target))
        self._on_failed(
            f"The {source} of this stream could not be converted to {target}: the converter "
            f"stopped {len(BACKOFF_S) + 1} times."
        )

    # -- the child ---------------------------------------------------------------------------

    def ended(self, *, restart: bool) -> None:
        """The child is gone."""
        self._supply.ended(restart=restart)

    async def feed(self, writer: asyncio.StreamWriter) -> None:
        writer.write(pack(self.job))
        await self._supply.feed(writer)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        messages = Reader()
        while data := await reader.read(READ):
            for format, units in self._sorted(messages.receive(data, time.time_ns())):
                if not self.closed:
                    self._deliver(format, units)

    def _sorted(self, messages: Sequence[Message]) -> list[tuple[Format, list[Unit]]]:
        """Outputs by the format that they are in."""
        outputs: list[tuple[Format, list[Unit]]] = []
        for message in messages:
            match message:
                case Format():
                    self.format = message
                    outputs.append((message, []))
                case Unit() if self.format is not None:
                    if not outputs:
                        outputs.append((self.format, []))
                    outputs[-1][1].append(message)
                case Counts(totals):
                    self._supply.counted(totals)
                case Failure(words):
                    self._life.last_words = words
                case _:
                    raise RecordError("the child sent what only its parent may")
        return outputs

    def _deliver(self, format: Format, units: Sequence[Unit]) -> None:
        try:
            self._on_output(format, units)
        except Exception:
            log.exception("the reader of a bridge failed", bridge=self.job.name)
