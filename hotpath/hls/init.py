"""Init sections (`ftyp`+`moov`) of a rendition, written by PyAV.

Invariant: the origin makes an init section once per Format and hands the bytes on; nobody makes
them again, because they depend on the FFmpeg version. Calls take milliseconds and belong off the
event loop. Upstream: `packager`. Spec: ISO/IEC 14496-12, 14496-15, RFC 6381.
"""

import io
import struct
from fractions import Fraction
from functools import lru_cache

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from hotpath.media.unit import Codec, Format

_MOVFLAGS = "frag_custom+empty_moov+default_base_moof"
_CONFIGURATION_BOX = {
    Codec.H264: b"avcC",
    Codec.HEVC: b"hvcC",
    Codec.AAC: b"esds",
    Codec.OPUS: b"dOps",
}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class InitSectionError(ValueError):
    """No init section can be made for the format; the message says what is wrong with it."""


class _Sink(io.RawIOBase):
    """Collects what the muxer writes; not seekable, as fragmented MP4 needs no seeking."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        chunk = bytes(data)  # type: ignore[call-overload]
        self.data += chunk
        return len(chunk)


@lru_cache(maxsize=64)
def init_section(format: Format) -> bytes:
    """`ftyp`+`moov` for the format, with the track's timescale equal to `format.timescale`."""
    try:
        data = _write(format)
    except (FFmpegError, OSError) as error:
        raise InitSectionError(
            f"{format.codec.value} configuration {format.config.hex()} is not usable: {error}"
        ) from error
    if not _has_configuration(data, format.codec):
        raise InitSectionError(
            f"{format.codec.value} configuration {format.config.hex()} is not usable"
        )
    written = media_timescale(data)
    if written != format.timescale:
        raise InitSectionError(
            f"{format.track}: the init section has timescale {written}, "
            f"the programme counts in {format.timescale}"
        )
    return data


def media_timescale(data: bytes) -> int:
    """Ticks per second in the first `mdhd` of an init section."""
    at = data.find(b"mdhd")
    if at < 0 or len(data) < at + 28:
        raise InitSectionError("the init section holds no mdhd")
    # Version 1 has 64-bit times before the timescale.
    offset = 24 if data[at + 4] == 1 else 16
    return int(struct.unpack_from(">I", data, at + offset)[0])


def _has_configuration(data: bytes, codec: Codec) -> bool:
    """FFmpeg writes an empty box where it could not read the configuration."""
    at = data.find(_CONFIGURATION_BOX[codec])
    return at >= 4 and int.from_bytes(data[at - 4 : at], "big") > 12


def _write(format: Format) -> bytes:
    sink = _Sink()
    options = {"movflags": _MOVFLAGS, "video_track_timescale": str(format.timescale)}
    with _template(format) as source:
        output = av.open(sink, "w", format="mp4", options=options)
        stream = output.add_stream_from_template(source.streams[0])
        # The raw demuxers see no frame here, so what they would have learnt from one is set.
        stream.codec_context.extradata = format.config
        if isinstance(stream, VideoStream):
            stream.codec_context.width = format.width
            stream.codec_context.height = format.height
            if format.codec is Codec.HEVC:
                stream.codec_context.codec_tag = "hvc1"  # Apple players refuse hev1
        elif isinstance(stream, AudioStream):
            stream.codec_context.sample_rate = format.timescale
            stream.codec_context.layout = _LAYOUTS.get(format.channels, "stereo")
        stream.time_base = Fraction(1, format.timescale)
        output.start_encoding()
        data = bytes(sink.data)
        output.close()
    return data


def _template(format: Format) -> InputContainer:
    """An input whose only stream has the format's codec; its bytes come from the configuration."""
    match format.codec:
        case Codec.H264 | Codec.HEVC:
            if b"\0\0\1" not in format.config:
                raise InitSectionError(f"{format.codec.value} needs parameter sets in Annex B")
            return av.open(io.BytesIO(format.config), "r", format=format.codec.value)
        case Codec.AAC:
            return av.open(io.BytesIO(_silent_adts() * 4), "r", format="aac")
        case Codec.OPUS:
            if not format.config.startswith(b"OpusHead"):
                raise InitSectionError("opus needs an OpusHead (RFC 7845)")
            return av.open(io.BytesIO(_ogg_opus(format.config)), "r", format="ogg")


def _silent_adts() -> bytes:
    """An ADTS frame that lets the demuxer open; the AudioSpecificConfig replaces what it says."""
    size = 7 + 6
    header = (0xFFF << 44) | (0x1 << 40) | (0x1 << 38) | (3 << 34) | (2 << 30)
    header |= (size << 13) | (0x7FF << 2)
    return header.to_bytes(7, "big") + bytes(6)


def _ogg_opus(head: bytes) -> bytes:
    """The shortest Ogg Opus file (RFC 7845): identification, comment and one silent packet."""
    tags = b"OpusTags" + bytes(8)
    pages = [(2, 0, head), (0, 0, tags), (4, 960, b"\xf8\xff\xfe")]
    return b"".join(_ogg_page(number, *page) for number, page in enumerate(pages))


def _ogg_page(number: int, flags: int, granule: int, body: bytes) -> bytes:
    header = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 1, number, 0, 1)
    page = header + bytes([len(body)]) + body
    return page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]


def _ogg_crc(data: bytes) -> int:
    """CRC-32 of RFC 3533: polynomial 0x04c11db7, not reflected, no final inversion."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
    return crc
