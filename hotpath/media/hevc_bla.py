"""HEVC: a CRA picture as a BLA picture at a place in the order of output of our choice.

Pure. A CRA picture that is repeated would have the place of the one before, and decoders take it
for an error. So its slices get the type that a splicer gives them, BLA without leading pictures
(ITU-T H.265 7.4.2.2), and another slice_pic_order_cnt_lsb, which is as long as the one that it
replaces: nothing moves. Upstream: `hotpath.media.still`.
"""

import re
from dataclasses import dataclass

from hotpath.media.annexb import BitReader
from hotpath.media.hevc import PPS, SPS, SpsInfo, parse_sps

BLA_N_LP, CRA = 18, 21
_HEADER_MAX = 64
"""Bytes; the number stands before that."""
_ESCAPED = re.compile(rb"\0\0(?=[\0-\3])")


@dataclass(frozen=True, slots=True)
class _Pps:
    sps_id: int
    dependent_segments: bool
    output_flag: bool
    extra_bits: int


class Bla:
    """The parameter sets of a stream, by which its pictures are rewritten."""

    def __init__(self, sets: list[bytes]) -> None:
        """VPS, SPS and PPS as NAL units."""
        self._sps: dict[int, SpsInfo] = {}
        self._pps: dict[int, _Pps] = {}
        for nal in sets:
            if nal[0] >> 1 & 63 == SPS:
                info = parse_sps(nal)
                self._sps[info.sps_id] = info
            elif nal[0] >> 1 & 63 == PPS:
                bits = BitReader(nal[2:])
                number = bits.ue()
                self._pps[number] = _Pps(bits.ue(), bits.u(1) == 1, bits.u(1) == 1, bits.u(3))

    def rewrite(self, nal: bytes, *, far: bool) -> bytes:
        """A slice of a CRA picture, at its own place or half a cycle away from it.

        Nearer might be a picture to which the header refers, which decoders keep for that.
        """
        bits = BitReader(nal[2:_HEADER_MAX])
        first = bits.u(1)
        bits.u(1)  # no_output_of_prior_pics_flag
        pps = self._pps.get(bits.ue())
        sps = self._sps.get(pps.sps_id) if pps else None
        if pps is None or sps is None:
            raise ValueError("the slice refers to parameter sets that are not known")
        dependent = 0
        if not first:
            dependent = bits.u(1) if pps.dependent_segments else 0
            bits.u((sps.tree_blocks - 1).bit_length())
        head = bytes((nal[0] & 0x81 | BLA_N_LP << 1, nal[1]))
        if dependent:
            return head + nal[2:]
        bits.u(pps.extra_bits)
        bits.ue()  # slice_type
        bits.u(pps.output_flag + 2 * sps.separate_planes)
        bits.u(sps.order_bits)
        rbsp = bytearray(nal[2:].replace(b"\0\0\3", b"\0\0"))
        highest = bits.read - sps.order_bits
        if far:
            rbsp[highest // 8] ^= 0x80 >> highest % 8
        return head + _ESCAPED.sub(b"\0\0\3", bytes(rbsp))
