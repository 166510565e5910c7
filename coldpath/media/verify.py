"""Proof that a finished MP4 plays: every access unit is counted, the ends are decoded.

Counted is what FFmpeg's demuxer makes of the index, of which each entry must lie inside the file:
reading the media itself would take longer than putting it there. Decoding is limited to the first
and the last group of pictures (and the sound beside them), where a remux goes wrong if it does:
parameter sets, priming, the last frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
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


def verify(path: Path, expected: Mapping[str, int], *, opening: int | None = None) -> Verified:
    """Raises `DamagedMedia` unless the file holds `expected` access units by kind and decodes.

    `opening`: of the first group of pictures so many are enough; None: all of it.
    """
    try:
        with av.open(str(path), format="mp4") as container:
            for video in container.streams.video:
                video.thread_type = "SLICE"  # FRAME threads can hang when a task is cut short
            size = path.stat().st_size
            units: dict[str, int] = {s.type: _count(s, size) for s in container.streams}
            if units != dict(expected):
                raise DamagedMedia(
                    f"{path.name} holds access units {units}, the recording {dict(expected)}"
                )
            for video in container.streams.video:
                _decode_ends(container, video, opening)
            for audio in container.streams.audio:
                _decode_ends(container, audio, opening)
            return Verified(Fraction(container.duration or 0, av.time_base), units)
    except FFmpegError as error:
        raise DamagedMedia(f"{path.name} does not decode: {error}") from error


def _count(stream: Stream, size: int) -> int:
    """Access units of the stream in a file of so many bytes; decode times must rise."""
    last, count = None, 0
    for entry in stream.index_entries:
        if last is not None and entry.timestamp <= last:
            raise DamagedMedia(f"{stream.type}: decode time {entry.timestamp} follows {last}")
        last, count = entry.timestamp, count + (entry.pos + entry.size <= size)
    return count


def _decode_ends(
    container: InputContainer, stream: VideoStream | AudioStream, opening: int | None
) -> None:
    for offset, most in ((0, opening), (stream.duration or 0, None)):
        container.seek((stream.start_time or 0) + offset, stream=stream, backward=True)
        if not _decode_group(container, stream, most):
            raise DamagedMedia(f"{stream.type}: nothing decodes at {offset} ticks")


def _decode_group(
    container: InputContainer, stream: VideoStream | AudioStream, most: int | None
) -> int:
    """Frames decoded from the current position to the next keyframe or the end of the file, of at
    `most` so many access units."""
    decoded = 0
    for number, packet in enumerate(islice(container.demux(stream), most)):
        if packet.dts is None:
            break
        if number and packet.is_keyframe and (stream.type == "video" or number > _AUDIO_FRAMES):
            break
        decoded += len(stream.decode(packet))
    return decoded + len(stream.decode(None))
