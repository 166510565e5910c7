"""What ingest costs: CPU per second of stream, and the delay that demultiplexing adds.

    make bench-ingest        or: python -m benchmarks.ingest [--seconds N]

Makes its own media (H.264 at 3 and 20 Mbit/s with AAC), sends it over encrypted SRT with ffmpeg in
real time, and prints Markdown. CPU is that of this process, all threads, libsrt's included; the
sender is another process. The delay is measured beside PyAV (FFmpeg) on the same bytes at the same
time: from the last byte of a video frame having arrived to the frame being handed out.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import imageio_ffmpeg

from hotpath.hls.packager import produce
from hotpath.hls.segmenter import Segmenter
from hotpath.ingest.admission import AdmissionEntry, Refusal
from hotpath.ingest.listener import SrtListener
from hotpath.ingest.session import FormatsChanged, TsIngest, UnitsReady
from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Format, Item, Unit
from hotpath.program.marks import MarkWriter
from hotpath.program.timeline import Stretch, Timeline, programme_format

MESSAGE = 1316
ENTRY = AdmissionEntry(
    project="bench",
    event="ev_bench",
    feed="main",
    key="k1.1.benchmark",
    generation=1,
    kid="k1",
    passphrase="benchmark-passphrase",
    whip_token="k1.1.benchmark-token",
    open=True,
    takeover=True,
)


@dataclass(frozen=True)
class Load:
    name: str
    size: str
    kbps: int


LOADS = (Load("3 Mbit/s 720p30", "1280x720", 3000), Load("20 Mbit/s 1080p30", "1920x1080", 20_000))


@dataclass(frozen=True)
class Row:
    load: str
    mbps: float
    srt: float
    ingest: float
    demux: float
    programme: float
    packaging: float


@dataclass(frozen=True)
class Delay:
    load: str
    frames: int
    learning: list[float]
    earned: list[float]
    pyav: list[float]


def make_media(load: Load, seconds: float, folder: Path) -> Path:
    """Constant bitrate, so that the load is what its name says; noise keeps the encoder busy."""
    path = folder / f"{load.kbps}.ts"
    picture = f"testsrc2=size={load.size}:rate=30:duration={seconds},noise=alls=20:allf=t"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", f"sine=sample_rate=48000:duration={seconds}", "-ac", "2"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60"]
    command += ["-pix_fmt", "yuv420p", "-x264-params", "nal-hrd=cbr:force-cfr=1"]
    rate = f"{load.kbps}k"
    command += ["-b:v", rate, "-maxrate", rate, "-minrate", rate, "-bufsize", rate]
    command += ["-c:a", "aac", "-b:a", "128k", "-f", "mpegts", str(path)]
    subprocess.run(command, check=True)
    return path


@contextmanager
def sending(path: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    url = f"srt://127.0.0.1:{port}?streamid={ENTRY.event}/{ENTRY.key}"
    url += f"&passphrase={ENTRY.passphrase}&latency=120000&pkt_size={MESSAGE}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-re", "-i", str(path)]
    process = subprocess.Popen([*command, "-c", "copy", "-f", "mpegts", url])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


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


def measure_delay(path: Path, load: Load) -> Delay:
    """Both demuxers on the same bytes, paced by frame: what each adds to a frame, in ms."""
    data = path.read_bytes()
    paced = _paced(data)
    read_fd, write_fd = os.pipe()
    theirs: dict[int, int] = {}

    def pyav() -> None:
        options = {"fflags": "nobuffer", "analyzeduration": "500000", "probesize": "200000"}
        with (
            open(read_fd, "rb", buffering=0) as source,
            av.open(source, mode="r", format="mpegts", options=options) as container,
        ):
            for packet in container.demux(video=0):
                if packet.dts is not None:
                    theirs[packet.dts] = time.time_ns()

    thread = threading.Thread(target=pyav)
    thread.start()
    arrived: dict[int, int] = {}
    ours: dict[int, tuple[int, bool]] = {}
    session = TsIngest()
    started = time.monotonic()
    for due, chunk in paced:
        delay = started + due - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        now = time.time_ns()
        session.receive(chunk, now)
        os.write(write_fd, chunk)
        for event in session.poll(now):
            if isinstance(event, UnitsReady):
                done = time.time_ns()
                earned = "earned" in session.facts().early.values()
                for unit in event.units:
                    if unit.track == "video":
                        arrived[unit.dts] = unit.ingest_ns
                        ours[unit.dts] = (done, earned)
    os.close(write_fd)
    thread.join()
    both = [d for d in ours if d in theirs]
    return Delay(
        load.name,
        len(both),
        [(ours[d][0] - arrived[d]) / 1e6 for d in both if not ours[d][1]],
        [(ours[d][0] - arrived[d]) / 1e6 for d in both if ours[d][1]],
        [(theirs[d] - arrived[d]) / 1e6 for d in both if ours[d][1]],
    )


def _paced(data: bytes) -> list[tuple[float, bytes]]:
    """(seconds, chunk): a frame's packets leave together at its decode time, as encoders do."""
    session = TsIngest()
    ends: list[tuple[int, int]] = []  # (offset behind the last byte, dts)
    for at in range(0, len(data), 188):
        session.receive(data[at : at + 188], at)
        for event in session.poll(at):
            if isinstance(event, UnitsReady):
                ends += [(u.ingest_ns + 188, u.dts) for u in event.units if u.track == "video"]
    first = ends[0][1]
    chunks: list[tuple[float, bytes]] = []
    begin = 0
    for end, dts in ends:
        for at in range(begin, end, MESSAGE):
            chunks.append(((dts - first) / 90_000, data[at : min(at + MESSAGE, end)]))
        begin = max(begin, end)
    return chunks


def percent(cpu: float, seconds: float) -> str:
    return f"{1000 * cpu / seconds:.1f}"


def quantiles(values: list[float]) -> str:
    if not values:
        return "–"
    values = sorted(values)
    return f"{statistics.median(values):.2f} / {values[int(len(values) * 0.95)]:.2f}"


def machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, libsrt 1.5, PyAV {av.__version__}, "
        f"load average at start {os.getloadavg()[0]:.1f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each stream")
    seconds: float = parser.parse_args().seconds
    line = machine()
    rows: list[Row] = []
    delays: list[Delay] = []
    with tempfile.TemporaryDirectory() as folder:
        for load in LOADS:
            print(f"{load.name}: encoding {seconds:g} s ...", file=sys.stderr)
            path = make_media(load, seconds, Path(folder))
            print(f"{load.name}: measuring ...", file=sys.stderr)
            srt, size = measure_srt(path)
            ingest = asyncio.run(measure_ingest(path))
            demux_cpu, units, formats = demux(path)
            programme, packaging = measure_packaging(units, formats)
            mbps = size * 8 / 1e6 / seconds
            rows.append(Row(load.name, mbps, srt, ingest, demux_cpu, programme, packaging))
            delays.append(measure_delay(path, load))
    print(f"Machine: {line}\n")
    print("CPU in ms per second of stream (10 = 1 % of a core):\n")
    print("| stream | Mbit/s | SRT | SRT + demux + hand-over | demux | programme | packaging |")
    print("|---|---|---|---|---|---|---|")
    for r in rows:
        cells = [percent(c, seconds) for c in (r.srt, r.ingest, r.demux, r.programme, r.packaging)]
        print(f"| {r.load} | {r.mbps:.1f} | {' | '.join(cells)} |")
    print("\nDelay that demultiplexing adds to a video frame, ms, p50 / p95:\n")
    print("| stream | frames | ours, first 64 frames | ours, then | PyAV, same frames |")
    print("|---|---|---|---|---|")
    for d in delays:
        cells = [quantiles(v) for v in (d.learning, d.earned, d.pyav)]
        print(f"| {d.load} | {d.frames} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
