"""Short streams of the kinds of H.264 and HEVC that encoders send, encoded once per test run."""

import subprocess
from dataclasses import dataclass
from functools import cache

from hotpath.media import h264, hevc
from hotpath.media.unit import VIDEO, Codec, Format, Unit
from tests.support.media import ffmpeg

SIZE = (192, 112)
COUNT = 24

_X264 = ("libx264", "-preset", "veryfast", "-x264-params")
ENCODERS: dict[str, tuple[str, ...]] = {
    "h264-cabac": (*_X264, "cabac=1:bframes=0:keyint=8:scenecut=0"),
    "h264-cavlc": (*_X264, "cabac=0:bframes=0:keyint=8:scenecut=0"),
    "h264-slices": (*_X264, "cabac=1:bframes=0:keyint=8:slices=3:scenecut=0"),
    "h264-cavlc-slices": (*_X264, "cabac=0:bframes=0:keyint=8:slices=3:scenecut=0"),
    "h264-b-frames": (*_X264, "cabac=1:bframes=2:keyint=8:scenecut=0"),
    "h264-mbaff": (*_X264, "cabac=1:bframes=0:keyint=8:tff=1:scenecut=0"),
    "h264-open-gop": (*_X264, "cabac=1:bframes=2:keyint=8:open-gop=1:scenecut=0"),
    "h264-open-gop-cavlc": (*_X264, "cabac=0:bframes=2:keyint=8:open-gop=1:scenecut=0"),
    "h264-fine": (*_X264, "cabac=1:bframes=0:keyint=8:qp=2:scenecut=0"),
    "h264-cavlc-fine": (*_X264, "cabac=0:bframes=0:keyint=8:qp=2:scenecut=0"),
    "hevc": ("libx265", "-preset", "ultrafast", "-x265-params",
             "log-level=none:bframes=0:keyint=8:open-gop=0:scenecut=0"),
    "hevc-open-gop": ("libx265", "-preset", "ultrafast", "-x265-params",
                      "log-level=none:bframes=2:keyint=8:open-gop=1:scenecut=0"),
    "hevc-open-gop-slices": ("libx265", "-preset", "ultrafast", "-x265-params",
                             "log-level=none:bframes=2:keyint=8:open-gop=1:scenecut=0:slices=2"),
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    format: Format
    units: tuple[Unit, ...]


@cache
def encoded(name: str) -> Source:
    """A moving picture by that encoder; units in decode order, 25 a second."""
    kind = "hevc" if name.startswith("hevc") else "h264"
    width, height = SIZE
    made = subprocess.run(
        [
            *(ffmpeg(), "-v", "error", "-nostdin", "-f", "lavfi"),
            *("-i", f"testsrc2=s={width}x{height}:r=25", "-frames:v", str(COUNT)),
            *("-pix_fmt", "yuv420p", "-c:v", *ENCODERS[name]),
            *("-bsf:v", f"{kind}_metadata=aud=insert", "-f", kind, "pipe:1"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    delimiter = b"\0\0\0\1" + (b"\x46\x01" if kind == "hevc" else b"\x09")
    units = [delimiter + each for each in made.split(delimiter)[1:]]
    assert len(units) == COUNT
    return _source(kind, units)


def _source(kind: str, units: list[bytes]) -> Source:
    width, height = SIZE
    avc, other = h264.ParameterSets(), hevc.ParameterSets()
    made = []
    for number, data in enumerate(units):
        head: h264.Head | hevc.Head
        if kind == "h264":
            head = h264.read_head(data)
            avc.update(head)
        else:
            head = hevc.read_head(data)
            other.update(head)
        at = number * 3600
        made.append(Unit(VIDEO, at, at, head.keyframe, data[head.body_at :], 0, 0))
    config = avc.config if kind == "h264" else other.config
    codec = Codec.H264 if kind == "h264" else Codec.HEVC
    format = Format(VIDEO, codec, 90_000, config, kind, width, height, frame_duration=3600)
    return Source(format, tuple(made))
