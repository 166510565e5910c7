"""One frame of silence in the format of a track, written by hand: nothing is encoded.

Pure. Invariant: what is returned decodes to silence with the track's own init section, however
often it is repeated. AAC: ISO/IEC 14496-3 table 4.3 to 4.50, raw data blocks whose channels have no
scale factor bands (max_sfb is 0). Opus: RFC 6716 3.1, appendix B for several streams.

Downstream: `hotpath.program.slate`.
"""

from dataclasses import dataclass

from hotpath.media.unit import Codec, Format

_AAC_FRAME = 1024
_PLAIN_AAC = frozenset({1, 2, 3, 4})
"""Main, LC, SSR, LTP: their configuration names rate and channels right after the type."""
_SBR_AAC = frozenset({5, 29})
_OPUS_FRAME = 960
_CELT_20_MS = b"\xf8"
"""Configuration 31, mono, one frame."""
_NOTHING = b"\xff\xfe"

# ISO/IEC 14496-3 table 1.19: the elements of each channel configuration, in order.
_SINGLE, _PAIR, _LFE, _END = 0, 1, 3, 7
_ELEMENTS = {
    1: (_SINGLE,),
    2: (_PAIR,),
    3: (_SINGLE, _PAIR),
    4: (_SINGLE, _PAIR, _SINGLE),
    5: (_SINGLE, _PAIR, _PAIR),
    6: (_SINGLE, _PAIR, _PAIR, _LFE),
    7: (_SINGLE, _PAIR, _PAIR, _PAIR, _LFE),
}


@dataclass(frozen=True, slots=True)
class Silence:
    data: bytes
    samples: int
    """How long it lasts, in ticks of the format."""


def silence_for(format: Format) -> Silence | None:
    """None where the format is not understood."""
    if format.codec is Codec.AAC:
        frame = _aac_frame(format.config)
        return Silence(frame, format.frame_duration or _AAC_FRAME) if frame else None
    if format.codec is Codec.OPUS:
        return Silence(_opus_packet(format.config), _OPUS_FRAME)
    return None


def _aac_frame(config: bytes) -> bytes | None:
    channels = _channel_configuration(config)
    if channels not in _ELEMENTS:
        return None
    bits = ""
    counted: dict[int, int] = {}
    for kind in _ELEMENTS[channels]:
        tag = counted.get(kind, 0)
        counted[kind] = tag + 1
        bits += f"{kind:03b}{tag:04b}" + (_PAIR_BITS if kind == _PAIR else _SINGLE_BITS)
    bits += f"{_END:03b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


# ics_info: reserved, window_sequence (2), window_shape, max_sfb (6), predictor_data_present
_ICS_INFO = "0" * 11
# global_gain (8), then (ics_info and) pulse, tns and gain control: absent
_SINGLE_BITS = "0" * 8 + _ICS_INFO + "000"
# common_window, ics_info, ms_mask_present (2), two channels
_PAIR_BITS = "1" + _ICS_INFO + "00" + 2 * ("0" * 8 + "000")


def _channel_configuration(config: bytes) -> int | None:
    """AudioSpecificConfig, ISO/IEC 14496-3 1.6.2.1, as far as the channels."""
    if len(config) < 2:
        return None
    bits = int.from_bytes(config, "big") << 32
    left = len(config) * 8 + 32
    kind = bits >> left - 5 & 31
    left -= 5
    explicit_rate = bits >> left - 4 & 15 == 15
    left -= 28 if explicit_rate else 4
    if kind not in _PLAIN_AAC | _SBR_AAC or left < 36:
        return None
    return bits >> left - 4 & 15


def _opus_packet(head: bytes) -> bytes:
    """A packet of every stream; all but the last say how long they are."""
    streams = head[19] if len(head) > 19 and head[18] else 1
    framed = _CELT_20_MS + bytes((len(_NOTHING),)) + _NOTHING
    return framed * (streams - 1) + _CELT_20_MS + _NOTHING
