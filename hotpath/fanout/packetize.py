"""Access units to RTP payloads, once per stream; every viewer's packets carry the same payloads.

Invariant: payloads are at most `limit` bytes, in the stream's order, and give back every NAL unit
but access unit delimiters and filler; a keyframe always carries its parameter sets. Pure.

Layout, made for UDP GSO (it needs equal sizes; only the last segment may be shorter): neighbouring
NAL units that fit one packet together travel in one STAP-A, so parameter sets and SEI come first,
by themselves or with a small slice. A larger NAL unit is cut into the fewest FU-A fragments of one
size; the last one is shorter by less than their number. So a frame of one slice is one run of
equal packets, behind at most one STAP-A; a frame of several slices is one run for each.

Upstream: the bus, by `hotpath.fanout.feed`. Downstream: `hotpath.fanout.kernel`.
Spec: RFC 6184 5.6 to 5.8 (packetization-mode 1), RFC 7587 4.2.
"""

from hotpath.media import h264
from hotpath.media.unit import Format, Unit

MAX_PAYLOAD = 1172
"""1,200 bytes of UDP payload, less RTP header (12) and AEAD tag (16)."""
_STAP_A, _FU_A = 24, 28
_START = b"\0\0\x01"
_DROPPED = frozenset({h264.AUD, h264.FILLER})
_DEFAULT_PROFILE = "42e01f"


class H264Packetizer:
    """One rendition; a changed format gets a new one."""

    def __init__(self, format: Format, limit: int = MAX_PAYLOAD) -> None:
        self._config = split_nals(format.config)
        self._limit = limit

    def payloads(self, unit: Unit) -> list[bytes]:
        nals = split_nals(unit.data)
        if unit.keyframe:
            kinds = {nal[0] & 31 for nal in nals[:8]}
            if not {h264.SPS, h264.PPS} <= kinds:
                nals = [*self._config, *nals]
        return packetize_nals(nals, self._limit)


def opus_payloads(unit: Unit, limit: int = MAX_PAYLOAD) -> list[bytes]:
    """RFC 7587 4.2: one packet, never cut. One that is too large (over 460 kbit/s) is left out."""
    return [unit.data] if 0 < len(unit.data) <= limit else []


def profile_level_id(format: Format) -> str:
    """RFC 6184 8.1: the three bytes behind the header of the SPS."""
    for nal in split_nals(format.config):
        if nal[0] & 31 == h264.SPS and len(nal) >= 4:
            return nal[1:4].hex()
    return _DEFAULT_PROFILE


def split_nals(data: bytes) -> list[bytes]:
    """NAL units of an Annex B access unit that are worth sending."""
    nals: list[bytes] = []
    begin = data.find(_START) + 3
    if begin < 3:
        return nals
    while True:
        end = data.find(_START, begin)
        # Zero bytes in front of a start code are not part of a NAL unit, nor are trailing ones.
        nal = (data[begin:end] if end >= 0 else data[begin:]).rstrip(b"\0")
        if nal and nal[0] & 31 not in _DROPPED:
            nals.append(nal)
        if end < 0:
            return nals
        begin = end + 3


def packetize_nals(nals: list[bytes], limit: int = MAX_PAYLOAD) -> list[bytes]:
    payloads: list[bytes] = []
    small: list[bytes] = []
    room = limit - 1
    for nal in nals:
        cost = len(nal) + 2
        if cost > room and small:
            payloads.append(_aggregate(small))
            small, room = [], limit - 1
        if len(nal) > limit:
            _fragment(nal, limit, payloads)
        else:
            small.append(nal)
            room -= cost
    if small:
        payloads.append(_aggregate(small))
    return payloads


def _aggregate(nals: list[bytes]) -> bytes:
    """RFC 6184 5.7.1; a lone NAL unit travels as it is."""
    if len(nals) == 1:
        return nals[0]
    forbidden = max(nal[0] & 0x80 for nal in nals)
    importance = max(nal[0] & 0x60 for nal in nals)
    sized = (part for nal in nals for part in (len(nal).to_bytes(2, "big"), nal))
    return bytes((forbidden | importance | _STAP_A,)) + b"".join(sized)


def _fragment(nal: bytes, limit: int, payloads: list[bytes]) -> None:
    """RFC 6184 5.8."""
    head, size = nal[0], len(nal)
    count = -(-(size - 1) // (limit - 2))
    length = -(-(size - 1) // count)
    indicator, kind = head & 0xE0 | _FU_A, head & 0x1F
    middle = bytes((indicator, kind))
    payloads.append(bytes((indicator, kind | 0x80)) + nal[1 : 1 + length])
    last = 1 + (size - 2) // length * length
    payloads += [middle + nal[at : at + length] for at in range(1 + length, last, length)]
    payloads.append(bytes((indicator, kind | 0x40)) + nal[last:])
