"""The delay that demultiplexing adds, beside PyAV (FFmpeg) on the same bytes at the same time.

From the last byte of a video frame having arrived to the frame being handed out.
"""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.ingest_load import MESSAGE, Load
from hotpath.ingest.session import TsIngest, UnitsReady


@dataclass(frozen=True)
class Delay:
    load: str
    frames: int
    learning: list[float]
    earned: list[float]
    pyav: list[float]


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
