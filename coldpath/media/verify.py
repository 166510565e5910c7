"""Proof that a finished MP4 plays: every access unit is counted, the ends are decoded.

Demuxing the whole file costs seconds per hour of media. Decoding is limited to the first and the
last group of pictures (and the sound beside them), where a remux goes wrong if it does: parameter
sets, priming, the last frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.stream import VideoStream

from coldpath.errors import DamagedMedia

_AUDIO_FRAMES = 50


@dataclass(frozen=True, slots=True)
class Verified:
    """What a player will find in the file."""

    duration: Fraction
    units: Mapping[str, int]


def verify(path: Path, expected: Mapping[str, int]) -> Verified:
    """Raises `DamagedMedia` unless the file holds `expected` access units by kind and decodes."""
    try:
        with av.open(str(path), format="mp4") as container:
            for video in container.streams.video:
                video.thread_type = "SLICE"  # FRAME threads can hang when a task is cut short
            units: dict[str, int] = {s.type: _count(container, s) for s in container.streams}
            if units != dict(expected):
                raise DamagedMedia(
                    f"{path.name} holds access units {units}, the recording {dict(expected)}"
                )
            for video in container.streams.video:
                _decode_ends(container, video)
            for audio in container.streams.audio:
                _decode_ends(container, audio)
            return Verified(Fraction(container.duration or 0, av.time_base), units)
    except FFmpegError as error:
        raise DamagedMedia(f"{path.name} does not decode: {error}") from error


def _count(container: InputContainer, stream: Stream) -> int:
    """Packets of the stream; decode times must rise."""
    container.seek(0)
    last, count = None, 0
    for packet in container.demux(stream):
        if packet.dts is None:
            continue
        if last is not None and packet.dts <= last:
            raise DamagedMedia(f"{stream.type}: decode time {packet.dts} follows {last}")
        last, count = packet.dts, count + 1
    return count


def _decode_ends(container: InputContainer, stream: VideoStream | AudioStream) -> None:
    for offset in (0, stream.duration or 0):
        container.seek((stream.start_time or 0) + offset, stream=stream, backward=True)
        if not _decode_group(container, stream):
            raise DamagedMedia(f"{stream.type}: nothing decodes at {offset} ticks")


def _decode_group(container: InputContainer, stream: VideoStream | AudioStream) -> int:
    """Frames decoded from the current position to the next keyframe or the end of the file."""
    decoded = 0
    for number, packet in enumerate(container.demux(stream)):
        if packet.dts is None:
            break
        if number and packet.is_keyframe and (stream.type == "video" or number > _AUDIO_FRAMES):
            break
        decoded += len(stream.decode(packet))
    return decoded + len(stream.decode(None))
