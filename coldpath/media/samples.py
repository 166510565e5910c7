"""The access units of a recorded segment, as an MP4's index needs them; pure.

Invariant: nothing is copied and nothing decoded. What is returned lies wholly inside the segment: a
fragment that is cut short is left out, and whoever counts finds that something is missing.

Upstream: bytes of `s{msn}.m4s`. Downstream: `remux`; of the times alone `live` and `listening`.
Spec: ISO/IEC 14496-12 8.8 (movie fragments).
"""

import struct
from dataclasses import dataclass, field

from coldpath.errors import DamagedMedia
from coldpath.media.boxes import HEADER, boxes, inside

_BASE_OFFSET, _DESCRIPTION = 0x1, 0x2
_DEFAULT_DURATION, _DEFAULT_SIZE, _DEFAULT_FLAGS = 0x8, 0x10, 0x20
_DATA_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_DURATIONS, _SIZES, _FLAGS, _OFFSETS = 0x100, 0x200, 0x400, 0x800
_NON_SYNC = 0x10000
_SIGN, _WRAP = 1 << 31, 1 << 32


@dataclass(slots=True)
class Samples:
    """Access units in decode order; times in ticks from the programme's epoch."""

    dts: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    """Presentation time less decode time."""
    sizes: list[int] = field(default_factory=list)
    sync: list[bool] = field(default_factory=list)
    payload: list[memoryview] = field(default_factory=list)
    """Their bytes, one after the other."""

    @property
    def shown(self) -> int:
        """When the first one is presented."""
        return self.dts[0] + self.offsets[0]


@dataclass(frozen=True, slots=True)
class SegmentTimes:
    """All in ticks of the rendition's timescale, from the programme's epoch."""

    start: int
    """First decode time."""
    shown: int
    """First unit's presentation time."""
    duration: int
    samples: int
    independent: bool


def segment_times(data: bytes, name: str) -> SegmentTimes:
    """What its manifest says of a segment, where that is not there yet.

    Raises `DamagedMedia`, naming the segment, for what is no CMAF segment.
    """
    found = samples(data, name)
    return SegmentTimes(
        start=found.dts[0],
        shown=found.shown,
        duration=sum(found.durations),
        samples=len(found.dts),
        independent=found.sync[0],
    )


def samples(data: bytes, name: str) -> Samples:
    """Raises `DamagedMedia`, naming the segment, where a fragment makes no sense."""
    found = Samples()
    view = memoryview(data)
    moof = None
    try:
        for kind, at, end in boxes(view):
            if kind == b"moof":
                moof = at, end
            elif kind == b"mdat" and moof is not None:
                _fragment(view, *moof, found)
                moof = None
    except (struct.error, KeyError, IndexError) as error:
        raise DamagedMedia(f"{name}: a box is cut short or missing: {error!r}") from error
    if not found.dts:
        raise DamagedMedia(f"{name} holds no fragment")
    if sum(found.sizes) != sum(map(len, found.payload)):
        raise DamagedMedia(f"{name}: access units lie outside of the segment")
    return found


def _fragment(view: memoryview, begin: int, end: int, found: Samples) -> None:
    traf = inside(view, begin, end)[b"traf"]
    named = inside(view, *traf)
    tfdt, _ = named[b"tfdt"]
    (time,) = struct.unpack_from(">Q" if view[tfdt] == 1 else ">I", view, tfdt + 4)
    defaults = _defaults(view, named[b"tfhd"][0])
    for kind, at, _ in boxes(view, *traf):
        if kind == b"trun":
            time = _run(view, at, time, moof=begin - HEADER, defaults=defaults, found=found)


def _defaults(view: memoryview, at: int) -> tuple[int, int, int]:
    """Duration, size and flags of samples that do not say them."""
    (present,) = struct.unpack_from(">I", view, at)
    if present & _BASE_OFFSET:
        raise KeyError("data offsets that count from elsewhere")
    at += 12 if present & _DESCRIPTION else 8
    found = []
    for bit in (_DEFAULT_DURATION, _DEFAULT_SIZE, _DEFAULT_FLAGS):
        found.append(struct.unpack_from(">I", view, at)[0] if present & bit else 0)
        at += 4 if present & bit else 0
    return found[0], found[1], found[2]


def _run(
    view: memoryview,
    at: int,
    time: int,
    *,
    moof: int,
    defaults: tuple[int, int, int],
    found: Samples,
) -> int:
    """Adds the samples of a `trun`; returns the decode time that follows."""
    present, count = struct.unpack_from(">II", view, at)
    (offset,) = struct.unpack_from(">i", view, at + 8)
    if not present & _DATA_OFFSET:
        raise KeyError("a run without a data offset")
    at += 12
    first = None
    if present & _FIRST_FLAGS:
        (first,) = struct.unpack_from(">I", view, at)
        at += 4
    bits = [bit for bit in (_DURATIONS, _SIZES, _FLAGS, _OFFSETS) if present & bit]
    table = struct.unpack_from(f">{count * len(bits)}I", view, at)
    columns = {bit: table[number :: len(bits)] for number, bit in enumerate(bits)}
    duration, size, flags = defaults
    durations = columns.get(_DURATIONS) or (duration,) * count
    sizes = columns.get(_SIZES) or (size,) * count
    for length in durations:
        found.dts.append(time)
        time += length
    found.durations += durations
    found.sizes += sizes
    found.offsets += _signed(columns[_OFFSETS]) if _OFFSETS in columns else (0,) * count
    sync = [not each & _NON_SYNC for each in columns.get(_FLAGS) or (flags,) * count]
    if first is not None and sync:
        sync[0] = not first & _NON_SYNC
    found.sync += sync
    begin = moof + offset
    found.payload.append(view[begin : begin + sum(sizes)])
    return time


def _signed(values: tuple[int, ...]) -> list[int]:
    """As version 1 of the box has them; what version 0 has is never so large."""
    return [value - _WRAP if value >= _SIGN else value for value in values]
