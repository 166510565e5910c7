"""CPU of each stage of ingest: SRT, demux, hand-over, programme, packaging.

CPU is that of this process, all threads, libsrt's included; the sender is another process.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.ingest_load import ENTRY, MESSAGE, sending
from hotpath.hls.packager import produce
from hotpath.hls.segmenter import Segmenter
from hotpath.ingest.admission import Refusal
from hotpath.ingest.listener import SrtListener
from hotpath.ingest.session import FormatsChanged, TsIngest, UnitsReady
from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Format, Item, Unit
from hotpath.program.marks import MarkWriter
from hotpath.program.timeline import Stretch, Timeline, programme_format


def measure_srt(path: Path) -> tuple[float, int]:
    """(CPU seconds, bytes) of receiving and decrypting alone, as the ingest thread does it."""
    listener = SrtListener(
        "127.0.0.1", 0, 120, idle_timeout_ms=3000, connect_burst=9, connects_per_s=9
    )
    listener.set_table([ENTRY], 1)
    size = 0
    with sending(path, listener.port):
        publisher = None
        while publisher is None:
            if listener.socket in listener.wait(25):
                publisher = listener.accept()
        listener.watch(publisher)
        before = time.process_time()
        while (data := listener.drain(publisher)) is not None:
            size += len(data)
            if not data:
                listener.wait(25)
        cpu = time.process_time() - before
    listener.drop(publisher)
    listener.close()
    return cpu, size


class Sink:
    def __init__(self) -> None:
        self.units = 0
        self.ended = asyncio.Event()
        self.started = 0.0

    def publisher_connected(self, publisher: Publisher) -> None:
        self.started = time.process_time()

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None: ...

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        self.units += len(units)

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None: ...

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None:
        self.ended.set()

    def publisher_refused(self, refusal: Refusal) -> None:
        raise SystemExit(f"the benchmark was refused: {refusal.reason}")


async def measure_ingest(path: Path) -> float:
    """CPU seconds of the whole of ingest: SRT, demux, hand-over to the loop."""
    sink = Sink()
    ingest = SrtIngest("127.0.0.1", 0, 120, sink)
    ingest.set_table([ENTRY])
    task = asyncio.create_task(ingest.run())
    with sending(path, ingest.port):
        await sink.ended.wait()
    cpu = time.process_time() - sink.started
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return cpu


def demux(path: Path) -> tuple[float, list[Unit], tuple[Format, ...]]:
    """(CPU seconds, units, formats) of the demultiplexer on SRT-sized messages."""
    data = path.read_bytes()
    session = TsIngest()
    units: list[Unit] = []
    formats: tuple[Format, ...] = ()
    before = time.process_time()
    for at in range(0, len(data), MESSAGE):
        session.receive(data[at : at + MESSAGE], at)
        for event in session.poll(at):
            if isinstance(event, UnitsReady):
                units += event.units
            elif isinstance(event, FormatsChanged):
                formats = event.formats
    return time.process_time() - before, units, formats


def measure_packaging(units: list[Unit], formats: tuple[Format, ...]) -> tuple[float, float]:
    """CPU seconds of (timeline and marks, segmenter and fMP4)."""
    formats = tuple(programme_format(f) for f in formats)
    epoch_ns = 1_700_000_000_000_000_000
    timeline, marks = Timeline(epoch_ns), MarkWriter(epoch_ns=epoch_ns)
    timeline.begin(formats, same_clock=False)
    items: list[Item] = []
    before = time.process_time()
    for unit in units:
        for step in timeline.receive(unit):
            items += (
                marks.begin(formats, epoch_ns)
                if isinstance(step, Stretch)
                else marks.write(step, epoch_ns)
            )
    programme = time.process_time() - before
    segmenter = Segmenter()
    before = time.process_time()
    for item in items:
        if events := segmenter.receive([item]):
            produce(events)
    return programme, time.process_time() - before
