"""The first access unit of a segment, cut out of it; pure.

A demuxer would decode pictures while it finds out what it reads, which costs as much as the one
picture that is wanted. What is needed of the boxes is little: where the first sample of the first
fragment lies.

Upstream: bytes of `s{msn}.m4s`. Downstream: `keyframes`.
Spec: ISO/IEC 14496-12 8.8.7 (tfhd), 8.8.8 (trun).
"""

import struct

from coldpath.errors import DamagedMedia
from coldpath.media.boxes import HEADER, boxes, inside

_BASE_GIVEN, _DEFAULT_SIZE = 0x1, 0x10
_BEFORE_DEFAULT_SIZE = ((0x1, 8), (0x2, 4), (0x8, 4))
_DATA_OFFSET, _FIRST_FLAGS, _DURATIONS, _SIZES = 0x1, 0x4, 0x100, 0x200


def first_unit(segment: bytes, name: str) -> bytes:
    """Raises `DamagedMedia`, naming the segment, when the unit is not there in full."""
    try:
        for kind, start, end in boxes(segment):
            if kind == b"moof":
                return _unit(segment, start, end)
    except (struct.error, KeyError) as error:
        raise DamagedMedia(f"{name}: a box is cut short or missing: {error}") from error
    except ValueError as error:
        raise DamagedMedia(f"{name}: {error}") from error
    raise DamagedMedia(f"{name} holds no fragment")


def _unit(segment: bytes, start: int, end: int) -> bytes:
    traf = inside(segment, start, end)[b"traf"]
    parts = inside(segment, *traf)
    tfhd, trun = parts[b"tfhd"][0], parts[b"trun"][0]
    flags, _, offset = struct.unpack_from(">IIi", segment, trun)
    if not flags & _DATA_OFFSET:
        raise ValueError("the first fragment does not say where its data is")
    size = _first_size(segment, trun, flags) if flags & _SIZES else _default_size(segment, tfhd)
    # `default-base-is-moof`, or neither flag and the first track: from the moof's first byte.
    at = _base(segment, tfhd, start - HEADER) + offset
    if at < end:
        raise ValueError("its first unit is said to lie before the data")
    unit = segment[at : at + size]
    if not size or len(unit) < size:
        raise ValueError(f"its first unit has {len(unit)} of {size} bytes")
    return unit


def _base(segment: bytes, tfhd: int, moof: int) -> int:
    (flags,) = struct.unpack_from(">I", segment, tfhd)
    if flags & _BASE_GIVEN:
        raise ValueError("offsets count from the start of a file that is not there")
    return moof


def _first_size(segment: bytes, trun: int, flags: int) -> int:
    at = trun + 12 + (4 if flags & _FIRST_FLAGS else 0) + (4 if flags & _DURATIONS else 0)
    return int(struct.unpack_from(">I", segment, at)[0])


def _default_size(segment: bytes, tfhd: int) -> int:
    (flags,) = struct.unpack_from(">I", segment, tfhd)
    if not flags & _DEFAULT_SIZE:
        raise ValueError("the size of its units is in the init section")
    at = tfhd + 8 + sum(size for bit, size in _BEFORE_DEFAULT_SIZE if flags & bit)
    return int(struct.unpack_from(">I", segment, at)[0])
