"""A function that never has enough: it encodes and stores as long as a file is there.

It stands for jobs that want everything a machine has: x264 on all cores, and objects of a megabyte.
"""

import io
from functools import cache
from pathlib import Path

from coldpath.binding import Requested
from coldpath.context import JobContext
from coldpath.functions.registry import registry
from coldpath.records import JobResult
from infra.keys import ProgramKey, WorkKey

NAME, QUEUE = "busy", "bulk"
SIZE, PICTURES, KINDS = (1280, 720), 60, 8


@registry.function(NAME, on=Requested, queue=QUEUE, timeout_s=3_600)
def busy(context: JobContext) -> JobResult:
    """Works until the file that `params` names is gone."""
    wanted = Path(context.params["while"])
    program = ProgramKey(context.lease.project, context.lease.event, context.lease.feed)
    stored = 0
    while wanted.exists():
        context.check()
        name = f"{context.lease.job}-{context.lease.attempt}-{stored}.mp4"
        context.put(str(WorkKey(program, "i1", NAME, name)), _encoded(), "video/mp4")
        stored += 1
    return JobResult({"stored": stored})


def _encoded() -> bytes:
    """Two seconds of pictures that are hard to encode."""
    import av

    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 0
        for number in range(PICTURES):
            frame = av.VideoFrame.from_ndarray(_pictures()[number % KINDS], format="yuv420p")
            frame.pts = number
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return made.getvalue()


@cache
def _pictures():  # type: ignore[no-untyped-def]  # numpy is imported where it is used
    import numpy as np

    width, height = SIZE
    random = np.random.default_rng(7)
    noise = random.integers(0, 48, (KINDS, height * 3 // 2, width), dtype=np.uint8)
    return noise + np.arange(width, dtype=np.uint8) // 8 + 64
