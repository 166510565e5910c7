"""Decodes the video samples of CMAF parts and reads their barcodes. Blocking; runs in a thread."""

import io

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from infra.demo import barcode
from infra.demo.errors import MediaError
from infra.demo.fragments import Sample


def luma(frame: VideoFrame) -> barcode.Plane:
    """The luma plane of a decoded frame, without the padding of its lines."""
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height, : frame.width]


class VideoDecoder:
    """One decoder for one initialisation segment; keeps no frame back that it could give."""

    def __init__(self, init: bytes) -> None:
        # The container stays referenced: its stream owns the codec parameters.
        self._container = av.open(io.BytesIO(init), format="mp4")
        context = self._container.streams.video[0].codec_context
        if not isinstance(context, VideoCodecContext):
            raise MediaError("the initialisation segment has no video track")
        # Frame threads would hold as many frames back as there are threads.
        context.thread_type = "SLICE"
        context.thread_count = 1
        self._context = context

    def decode(self, samples: list[Sample]) -> list[tuple[int, barcode.Stamp | None]]:
        """(presentation time in the track's timescale, stamp) of every frame that came out."""
        found = []
        for sample in samples:
            packet = av.Packet(sample.data)
            packet.dts, packet.pts = sample.decode_time, sample.presentation_time
            found += [self._read(frame) for frame in self._context.decode(packet)]
        return found

    def flush(self) -> list[tuple[int, barcode.Stamp | None]]:
        """What was still inside at the end of the stream."""
        return [self._read(frame) for frame in self._context.decode(None)]

    def close(self) -> None:
        self._container.close()

    @staticmethod
    def _read(frame: VideoFrame) -> tuple[int, barcode.Stamp | None]:
        if frame.pts is None:
            raise MediaError("a decoded frame has no time")
        return frame.pts, barcode.read(luma(frame))
