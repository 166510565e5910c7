"""H.264: one picture as an IDR picture with an `idr_pic_id` of our choice, without coding it anew.

Pure. Two IDR pictures in a row must differ in `idr_pic_id` (ITU-T H.264 7.4.3): decoders that look
for the first slice of a picture take equal ones for one picture (7.4.1.2.4). So whoever repeats a
picture rewrites the headers of its slices. An I picture at a recovery point becomes an IDR picture
the same way. What the macroblocks say is copied: CABAC data starts at a byte, so it is moved by
whole bytes; CAVLC data follows the header at once, so all of it is moved by bits.

Upstream: `hotpath.media.still`. Fields of pictures other than IDR, and slice groups, are refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hotpath.media.annexb import BitReader, nal_end, nal_starts
from hotpath.media.h264 import IDR, PPS, SLICE, SPS, SpsInfo, parse_sps

_HEADER_MAX = 64
"""Bytes; the header of an I slice is shorter."""
_I_SLICE = 2
_ESCAPED = re.compile(rb"\0\0(?=[\0-\3])")
_MARKINGS_MAX = 64


class NotRewritable(ValueError):
    """The picture uses what is not understood here."""


@dataclass(frozen=True, slots=True)
class _Pps:
    sps_id: int
    cabac: bool
    order_bottom: bool
    """Frames carry delta_pic_order_cnt_bottom."""
    deblocking: bool
    redundant: bool


class Idr:
    """The parameter sets of a stream, by which its pictures are rewritten."""

    def __init__(self, config: bytes) -> None:
        """`config`: SPS and PPS as Annex B."""
        self._sps: dict[int, SpsInfo] = {}
        self._pps: dict[int, _Pps] = {}
        for nal in nals(config):
            if nal[0] & 31 == SPS:
                info = parse_sps(nal)
                self._sps[info.sps_id] = info
            elif nal[0] & 31 == PPS:
                number, pps = _parse_pps(nal)
                self._pps[number] = pps

    def rewrite(self, nal: bytes, idr_pic_id: int) -> bytes:
        """The slice as one of an IDR picture; raises `ValueError` where that cannot be done."""
        kind, importance = nal[0] & 31, nal[0] & 0x60
        if kind not in (SLICE, IDR) or not importance:
            raise NotRewritable(f"a NAL unit of type {kind} is no slice of a reference picture")
        rbsp = nal[1:].replace(b"\0\0\3", b"\0\0").rstrip(b"\0")
        header = _Header(BitReader(nal[1:_HEADER_MAX]), idr=kind == IDR)
        cabac = self._copy(header, idr_pic_id)
        made = _behind_cabac(header, rbsp) if cabac else _behind_cavlc(header, rbsp)
        return bytes((importance | IDR,)) + _ESCAPED.sub(b"\0\0\3", made)

    def _copy(self, header: "_Header", idr_pic_id: int) -> bool:
        """Copy a slice header (7.3.3) with the changes that make it one of an IDR picture."""
        header.ue()  # first_mb_in_slice
        if header.ue() % 5 != _I_SLICE:
            raise NotRewritable("not every slice is an I slice")
        pps = self._pps.get(header.ue())
        sps = self._sps.get(pps.sps_id) if pps else None
        if pps is None or sps is None:
            raise NotRewritable("the slice refers to parameter sets that are not known")
        numbering = sps.numbering
        if numbering.separate_planes:
            header.u(2)
        header.zero_unless_idr(numbering.frame_num_bits)
        field = sps.interlaced and header.u(1) == 1
        if field:
            if not header.idr:
                raise NotRewritable("a field cannot become an IDR picture by itself")
            header.u(1)
        if header.idr:
            header.reader.ue()
        header.put_ue(idr_pic_id)
        if numbering.order_type == 0:
            header.zero_unless_idr(numbering.order_bits)
        if numbering.order_type == 0 and pps.order_bottom and not field:
            header.ue()
        if numbering.order_deltas:
            header.ue()
            if pps.order_bottom and not field:
                header.ue()
        if pps.redundant:
            header.ue()
        header.marking()
        header.ue()  # slice_qp_delta
        if pps.deblocking and header.ue() != 1:
            header.ue()
            header.ue()
        return pps.cabac


class _Header:
    """Copies bits from a slice header to a new one."""

    def __init__(self, reader: BitReader, *, idr: bool) -> None:
        self.reader = reader
        self.idr = idr
        self.value = 0
        self.size = 0

    def put(self, value: int, bits: int) -> None:
        self.value, self.size = self.value << bits | value, self.size + bits

    def put_ue(self, value: int) -> None:
        self.put(value + 1, 2 * (value + 1).bit_length() - 1)

    def u(self, bits: int) -> int:
        value = self.reader.u(bits)
        self.put(value, bits)
        return value

    def ue(self) -> int:
        """Of signed numbers too: the code is the same."""
        value = self.reader.ue()
        self.put_ue(value)
        return value

    def zero_unless_idr(self, bits: int) -> None:
        """frame_num and pic_order_cnt_lsb: an IDR picture begins to count."""
        value = self.reader.u(bits)
        self.put(value if self.idr else 0, bits)

    def marking(self) -> None:
        """dec_ref_pic_marking (7.3.3.3): that of a picture which is none becomes the plainest."""
        if self.idr:
            self.u(2)
            return
        self.put(0, 2)
        operation = -1 if self.reader.u(1) else 0
        for _ in range(_MARKINGS_MAX):
            if operation == 0:
                return
            operation = self.reader.ue()
            for _ in range({1: 1, 2: 1, 3: 2, 4: 1, 6: 1}.get(operation, 0)):
                self.reader.ue()
        raise NotRewritable("too many marking operations")


def _behind_cabac(header: _Header, rbsp: bytes) -> bytes:
    """Ones up to the byte, then the slice data as they are."""
    pad = -header.size % 8
    header.put((1 << pad) - 1, pad)
    return header.value.to_bytes(header.size // 8, "big") + rbsp[-(-header.reader.read // 8) :]


def _behind_cavlc(header: _Header, rbsp: bytes) -> bytes:
    """The slice data up to the stop bit, moved to the end of the header."""
    left = len(rbsp) * 8 - header.reader.read
    rest = int.from_bytes(rbsp, "big") & (1 << left) - 1
    if not rest:
        raise NotRewritable("the slice ends in its header")
    zeros = (rest & -rest).bit_length() - 1
    header.put(rest >> zeros, left - zeros)
    header.put(0, -header.size % 8)
    return header.value.to_bytes(header.size // 8, "big")


def _parse_pps(nal: bytes) -> tuple[int, _Pps]:
    bits = BitReader(nal[1:])
    number, sps_id = bits.ue(), bits.ue()
    cabac, order_bottom = bits.u(1) == 1, bits.u(1) == 1
    if bits.ue():
        raise NotRewritable("the picture has slice groups")
    bits.ue()
    bits.ue()
    bits.u(3)
    for _ in range(3):
        bits.se()
    deblocking, _constrained, redundant = bits.u(1) == 1, bits.u(1), bits.u(1) == 1
    return number, _Pps(sps_id, cabac, order_bottom, deblocking, redundant)


def nals(data: bytes) -> Iterable[bytes]:
    """The NAL units of an Annex B stream."""
    for _, begin in nal_starts(data):
        end = nal_end(data, begin)
        if end > begin:
            yield data[begin:end]
