"""What an init section says of its one track; pure.

For a programme that is still live: its manifest, which says the same, comes at the end. Read here
and not by a demuxer, because a clip of a live programme is to be there at once.

Upstream: bytes of `init-{n}.mp4`. Downstream: `live`, and the functions that listen.
Spec: ISO/IEC 14496-12 8 and 12, 14496-15 E.3 (codec strings).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from coldpath.errors import DamagedMedia
from coldpath.media.boxes import boxes, find

_VISUAL_HEAD = 78
"""Bytes of a sample entry before its own boxes."""


@dataclass(frozen=True, slots=True)
class Track:
    """What an init section says of its one track."""

    kind: Literal["video", "audio"]
    timescale: int
    codec: str
    """RFC 6381; empty when it is none of those that are recorded."""
    width: int = 0
    height: int = 0
    channels: int = 0


def track(init: bytes, name: str) -> Track:
    """Raises `DamagedMedia`, naming the object, for what is no init section."""
    try:
        mdia = find(init, b"moov", b"trak", b"mdia")
        mdhd = find(mdia, b"mdhd")
        # Version 1 has 64-bit times before the timescale.
        (timescale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)
        stsd = find(mdia, b"minf", b"stbl", b"stsd")
        entry, at, end = next(boxes(stsd, 8))
        body = stsd[at:end]
        if find(mdia, b"hdlr")[8:12] == b"vide":
            width, height = struct.unpack_from(">HH", body, 24)
            within = {kind: body[a:b] for kind, a, b in boxes(body, _VISUAL_HEAD)}
            codec = _video_codec(entry, within)
            return Track("video", timescale, codec, width, height)
        (channels,) = struct.unpack_from(">H", body, 16)
        return Track("audio", timescale, _AUDIO.get(entry, ""), channels=channels)
    except (struct.error, KeyError, IndexError, StopIteration) as error:
        raise DamagedMedia(f"{name} is no init section: {error!r}") from error


_AUDIO = {b"mp4a": "mp4a.40.2", b"Opus": "opus"}


def _video_codec(entry: bytes, within: Mapping[bytes, bytes]) -> str:
    if b"avcC" in within:
        return f"avc1.{within[b'avcC'][1:4].hex()}"
    if b"hvcC" not in within:
        return ""
    hvcc = within[b"hvcC"]
    space = ("", "A", "B", "C")[hvcc[1] >> 6]
    compatible = int(f"{int.from_bytes(hvcc[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if hvcc[1] & 0x20 else "L"
    constraints = hvcc[6:12].rstrip(b"\0")
    parts = [entry.decode(), f"{space}{hvcc[1] & 0x1F}", f"{compatible:X}", f"{tier}{hvcc[12]}"]
    return ".".join([*parts, *(f"{byte:X}" for byte in constraints)])
