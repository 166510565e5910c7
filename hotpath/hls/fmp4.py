"""CMAF fragments (ISO/IEC 14496-12, 23000-19): one `moof`+`mdat` per part, and a reader for them.

Invariant: a fragment's bytes are a pure function of (sequence, base time, samples), so any node
that packages the same marked units writes the same bytes. A segment is the concatenation of its
fragments. Upstream: `segmenter` by way of `packager`. Downstream: viewers and the recorder.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hotpath.media.unit import Codec

TRACK_ID = 1  # every rendition holds one track
PARTS_PER_SEGMENT = 1024
"""Room for part numbers in `mfhd`; 10 s of 0.215 s parts need 47."""

_UINT32 = 0xFFFFFFFF
_SYNC = 0x02000000  # sample_depends_on = 2: an I picture
_IS_NON_SYNC = 0x00010000
_NON_SYNC = 0x01010000  # sample_depends_on = 1, sample_is_non_sync_sample

# trun flags (14496-12, 8.8.8.1)
_DATA_OFFSET, _FIRST_FLAGS = 0x000001, 0x000004
_DURATIONS, _SIZES, _FLAGS, _OFFSETS = 0x000100, 0x000200, 0x000400, 0x000800
# tfhd flags (8.8.7.1)
_DEFAULT_DURATION, _DEFAULT_FLAGS, _BASE_IS_MOOF = 0x000008, 0x000020, 0x020000

# NAL types that 14496-15 keeps out of `avc1`/`hvc1` samples: parameter sets (they are in the
# sample entry), delimiters and filler.
_H264_LEFT_OUT = frozenset({7, 8, 9, 12})
_HEVC_LEFT_OUT = frozenset({32, 33, 34, 35, 38})


class FragmentError(ValueError):
    """The bytes are no fragment that this module writes."""


@dataclass(frozen=True, slots=True)
class FragmentSample:
    """One access unit as it stands in the file."""

    data: bytes
    duration: int
    composition_offset: int
    """pts - dts, ticks."""
    keyframe: bool


@dataclass(frozen=True, slots=True)
class Box:
    kind: bytes
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a reader finds in one `moof`+`mdat`."""

    sequence: int
    base: int
    """tfdt: decode time of the first sample, ticks."""
    samples: tuple[FragmentSample, ...]
    start: int
    end: int


def length_prefixed(data: bytes, codec: Codec) -> bytes:
    """Annex B to the 4-byte length form, without what the sample entry carries already."""
    left_out, shift, mask = (
        (_H264_LEFT_OUT, 0, 0x1F) if codec is Codec.H264 else (_HEVC_LEFT_OUT, 1, 0x3F)
    )
    out: list[bytes] = []
    at = data.find(b"\0\0\1")
    while at >= 0:
        begin = at + 3
        at = data.find(b"\0\0\1", begin)
        # A NAL unit never ends with 0x00: zeros there belong to the next start code.
        nal = (data[begin:at] if at >= 0 else data[begin:]).rstrip(b"\0")
        if nal and nal[0] >> shift & mask not in left_out:
            out += (len(nal).to_bytes(4, "big"), nal)
    return b"".join(out)


def sequence_number(msn: int, part: int) -> int:
    """`mfhd` sequence number: rises with every part, the same on every node."""
    return (msn * PARTS_PER_SEGMENT + min(part, PARTS_PER_SEGMENT - 2) + 1) & _UINT32


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _sample_flags(samples: Sequence[FragmentSample]) -> tuple[int, int | None, bool]:
    """(default flags, flags of the first sample if they differ, whether each needs its own)."""
    keys = [sample.keyframe for sample in samples]
    if all(keys):
        return _SYNC, None, False
    if not any(keys[1:]):
        return _NON_SYNC, (_SYNC if keys[0] else None), False
    return _NON_SYNC, None, True


def fragment(sequence: int, base: int, samples: Sequence[FragmentSample]) -> bytes:
    """One `moof`+`mdat`. `base` is the decode time of the first sample, ticks from the epoch."""
    if not samples:
        raise FragmentError("a fragment needs at least one sample")
    default_flags, first_flags, own_flags = _sample_flags(samples)
    one_duration = len({sample.duration for sample in samples}) == 1

    tfhd = struct.pack(">I", TRACK_ID)
    tfhd_flags = _BASE_IS_MOOF | _DEFAULT_FLAGS
    if one_duration:
        tfhd_flags |= _DEFAULT_DURATION
        tfhd += struct.pack(">I", samples[0].duration & _UINT32)
    tfhd += struct.pack(">I", default_flags)

    trun_flags, table = _table(samples, durations=not one_duration, flags=own_flags)
    if first_flags is not None:
        trun_flags |= _FIRST_FLAGS
        table = struct.pack(">I", first_flags) + table

    mfhd = _box(b"mfhd", struct.pack(">II", 0, sequence))
    traf = _box(b"tfhd", struct.pack(">I", tfhd_flags), tfhd)
    traf += _box(b"tfdt", struct.pack(">IQ", 0x01000000, base))
    # Every size is known before the data offset is, so it is computed, not patched.
    moof_size = 8 + len(mfhd) + 8 + len(traf) + 8 + 12 + len(table)
    head = struct.pack(">III", 0x01000000 | trun_flags, len(samples), moof_size + 8)
    moof = _box(b"moof", mfhd, _box(b"traf", traf, _box(b"trun", head, table)))
    return b"".join([moof, _mdat_header(samples), *(sample.data for sample in samples)])


def _table(samples: Sequence[FragmentSample], *, durations: bool, flags: bool) -> tuple[int, bytes]:
    """The flags of a `trun` and its rows, with the columns that are needed."""
    trun_flags, columns = _DATA_OFFSET | _SIZES, [[len(sample.data) for sample in samples]]
    if durations:
        trun_flags |= _DURATIONS
        columns.insert(0, [sample.duration & _UINT32 for sample in samples])
    if flags:
        trun_flags |= _FLAGS
        columns.append([_SYNC if sample.keyframe else _NON_SYNC for sample in samples])
    if any(sample.composition_offset for sample in samples):
        # trun version 1 is signed: these are the bits of a negative offset.
        trun_flags |= _OFFSETS
        columns.append([sample.composition_offset & _UINT32 for sample in samples])
    values = [value for row in zip(*columns, strict=True) for value in row]
    return trun_flags, struct.pack(f">{len(values)}I", *values)


def _mdat_header(samples: Sequence[FragmentSample]) -> bytes:
    return struct.pack(">I4s", sum(len(sample.data) for sample in samples) + 8, b"mdat")


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Whole boxes in `data[start:end]`; stops before one that is cut short."""
    limit = len(data) if end is None else end
    while start + 8 <= limit:
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1 and start + 16 <= limit:
            size, body = struct.unpack_from(">Q", data, body)[0], start + 16
        if size < body - start or start + size > limit:
            return
        yield Box(kind, start, body, start + size)
        start += size


def whole_length(data: bytes) -> int:
    """Bytes of the whole `moof`+`mdat` pairs that `data` starts with (recovery of a cut file)."""
    length, expected = 0, b"moof"
    for box in boxes(data):
        if box.kind != expected:
            break
        if expected == b"mdat":
            length = box.end
        expected = b"mdat" if expected == b"moof" else b"moof"
    return length


def read_fragments(data: bytes) -> list[Fragment]:
    """Every fragment in `data`; raises `FragmentError` for anything else."""
    found: list[Fragment] = []
    position = 0
    try:
        while position < len(data):
            moof, mdat = _pair(data, position)
            found.append(_read_fragment(data, moof, mdat))
            position = mdat.end
    except struct.error as error:
        raise FragmentError("a box is shorter than its fields") from error
    return found


def _pair(data: bytes, position: int) -> tuple[Box, Box]:
    found = boxes(data, position)
    moof, mdat = next(found, None), next(found, None)
    if moof is None or mdat is None or moof.kind != b"moof" or mdat.kind != b"mdat":
        raise FragmentError(f"no whole moof and mdat at byte {position}")
    return moof, mdat


def _child(data: bytes, parent: Box, kind: bytes) -> Box:
    for box in boxes(data, parent.body, parent.end):
        if box.kind == kind:
            return box
    raise FragmentError(f"{parent.kind.decode('latin-1')} holds no {kind.decode()}")


def _read_fragment(data: bytes, moof: Box, mdat: Box) -> Fragment:
    mfhd, traf = _child(data, moof, b"mfhd"), _child(data, moof, b"traf")
    (sequence,) = struct.unpack_from(">I", data, mfhd.body + 4)
    (base,) = struct.unpack_from(">Q", data, _child(data, traf, b"tfdt").body + 4)
    defaults = _read_defaults(data, _child(data, traf, b"tfhd"))
    trun = _child(data, traf, b"trun")
    samples: list[FragmentSample] = []
    (offset,) = struct.unpack_from(">i", data, trun.body + 8)
    position = moof.start + offset
    for size, duration, flags, cts in _read_rows(data, trun, *defaults):
        if not mdat.body <= position <= position + size <= mdat.end:
            raise FragmentError("a sample lies outside its mdat")
        payload = data[position : position + size]
        samples.append(FragmentSample(payload, duration, cts, not flags & _IS_NON_SYNC))
        position += size
    return Fragment(sequence, base, tuple(samples), moof.start, mdat.end)


def _read_defaults(data: bytes, tfhd: Box) -> tuple[int, int]:
    """Duration and flags that samples have unless they say otherwise."""
    (flags,) = struct.unpack_from(">I", data, tfhd.body)
    at, duration = tfhd.body + 8, 0
    if flags & _DEFAULT_DURATION:
        (duration,) = struct.unpack_from(">I", data, at)
        at += 4
    (sample_flags,) = struct.unpack_from(">I", data, at)
    return duration, sample_flags


def _read_rows(
    data: bytes, trun: Box, default_duration: int, default_flags: int
) -> Iterator[tuple[int, int, int, int]]:
    """(size, duration, flags, composition offset) of every sample."""
    flags, count = struct.unpack_from(">II", data, trun.body)
    at, first_flags = trun.body + 12, default_flags
    if flags & _FIRST_FLAGS:
        (first_flags,) = struct.unpack_from(">I", data, at)
        at += 4
    columns = [bit for bit in (_DURATIONS, _SIZES, _FLAGS, _OFFSETS) if flags & bit]
    row = struct.Struct(">" + "".join("i" if bit == _OFFSETS else "I" for bit in columns))
    if at + count * row.size > trun.end or _SIZES not in columns:
        raise FragmentError("a trun is shorter than its table, or has no sizes")
    for index in range(count):
        found = dict(zip(columns, row.unpack_from(data, at + index * row.size), strict=True))
        own = found.get(_FLAGS, first_flags if index == 0 else default_flags)
        yield found[_SIZES], found.get(_DURATIONS, default_duration), own, found.get(_OFFSETS, 0)
