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
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.ingest_cost import demux, measure_ingest, measure_packaging, measure_srt
from benchmarks.ingest_delay import Delay, measure_delay
from benchmarks.ingest_load import LOADS, make_media


@dataclass(frozen=True)
class Row:
    load: str
    mbps: float
    srt: float
    ingest: float
    demux: float
    programme: float
    packaging: float


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
    report(rows, delays, seconds)
    return 0


def report(rows: Sequence[Row], delays: Sequence[Delay], seconds: float) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
