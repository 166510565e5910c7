"""Fields to whole pictures, with PyAV's filters: runs in the child only.

Invariant: one picture comes out for each that went in, at its own timestamp, one picture later.
Progressive pictures of the same stream pass unchanged.
"""

from fractions import Fraction
from typing import Any

import av
import av.filter
from av.error import FFmpegError
from av.video.frame import VideoFrame


class Deinterlacer:
    def __init__(self, clock: int) -> None:
        self._clock = clock
        self._graph: Any = None
        self._shape: tuple[int, int, str] | None = None

    def receive(self, frame: VideoFrame) -> list[VideoFrame]:
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._build(shape)
        self._graph.push(frame)
        pictures: list[VideoFrame] = []
        while True:
            try:
                picture = self._graph.pull()
            except (BlockingIOError, EOFError, FFmpegError):
                return pictures
            picture.pts = int(picture.pts * picture.time_base * self._clock)
            pictures.append(picture)

    def _build(self, shape: tuple[int, int, str]) -> None:
        width, height, name = shape
        graph: Any = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format=name, time_base=Fraction(1, self._clock)
        )
        filtered = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        sink = graph.add("buffersink")
        source.link_to(filtered)
        filtered.link_to(sink)
        graph.configure()
        self._graph, self._shape = graph, shape
