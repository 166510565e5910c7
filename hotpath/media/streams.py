"""Which elementary streams are carried, and what the others are called when they are not.

Upstream: PMT entries of `hotpath.media.psi`. ISO/IEC 13818-1 table 2-34; Opus in TS by its
registration descriptor; AC-3 by ETSI EN 300 468 annex D.
"""

from hotpath.media.psi import StreamEntry
from hotpath.media.unit import Codec
from infra.languages import language_tag

_CARRIED = {0x1B: Codec.H264, 0x24: Codec.HEVC, 0x0F: Codec.AAC}

_OTHER_AUDIO = {
    0x03: "MPEG-1 audio (MP2)",
    0x04: "MPEG-2 audio (MP2)",
    0x11: "AAC in LATM",
    0x80: "LPCM or DTS audio",
    0x81: "AC-3",
    0x82: "DTS",
    0x87: "E-AC-3",
    0xC1: "AC-3",
    0xC2: "E-AC-3",
}
_OTHER_VIDEO = {
    0x01: "MPEG-1 video",
    0x02: "MPEG-2 video",
    0x10: "MPEG-4 part 2 video",
    0x21: "JPEG 2000",
    0x33: "VVC",
    0x42: "AVS",
    0xEA: "VC-1",
}
_AUDIO_REGISTRATIONS = {b"AC-3": "AC-3", b"EAC3": "E-AC-3", b"DTS1": "DTS", b"BSSD": "SMPTE 302M"}
_AUDIO_DESCRIPTORS = {0x6A: "AC-3", 0x7A: "E-AC-3", 0x7B: "DTS", 0x7C: "AAC"}


_VISUAL_IMPAIRED_COMMENTARY = 0x03  # audio_type, table 2-60


def language_of(entry: StreamEntry) -> str:
    """The RFC 5646 tag of the stream's language; empty where it is not known."""
    return language_tag(entry.language[0])


def describes_video(entry: StreamEntry) -> bool:
    """Whether the sound tells what is in the picture."""
    return entry.language[1] == _VISUAL_IMPAIRED_COMMENTARY


def codec_of(entry: StreamEntry) -> Codec | None:
    """The codec of a stream that is carried as it is, else None."""
    if entry.stream_type == 0x06 and entry.registration == b"Opus":
        return Codec.OPUS
    return _CARRIED.get(entry.stream_type)


def foreign_audio(entry: StreamEntry) -> str | None:
    """The name of an audio codec that is not carried as it is, else None."""
    if entry.stream_type == 0x06:
        name = _AUDIO_REGISTRATIONS.get(entry.registration)
        found = (_AUDIO_DESCRIPTORS[t] for t, _ in entry.descriptors if t in _AUDIO_DESCRIPTORS)
        return name or next(found, None)
    return _OTHER_AUDIO.get(entry.stream_type)


def foreign_video(entry: StreamEntry) -> str | None:
    """The name of a video codec that cannot be carried, else None."""
    if entry.stream_type == 0x06 and entry.registration == b"AV01":
        return "AV1"
    return _OTHER_VIDEO.get(entry.stream_type)
