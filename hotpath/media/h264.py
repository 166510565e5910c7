"""H.264: what the media plane needs to know of an access unit, without decoding it.

Upstream: `hotpath.media.access_units`. ITU-T H.264 §7.3, annex E; RFC 6381 §3.3 for `avc1`.
"""

from dataclasses import dataclass

from hotpath.media.annexb import START, BitReader, nal_end, nal_starts

SLICE, IDR, SEI, SPS, PPS, AUD, FILLER = 1, 5, 6, 7, 8, 9, 12
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_I_SLICES = frozenset({2, 4, 7, 9})  # I and SI


@dataclass(frozen=True, slots=True)
class Numbering:
    """How slice headers count pictures."""

    separate_planes: bool
    frame_num_bits: int
    order_type: int
    """pic_order_cnt_type."""
    order_bits: int
    """Of pic_order_cnt_lsb; 0 unless the order type is 0."""
    order_deltas: bool
    """Order type 1 with delta_pic_order_cnt in slice headers."""


@dataclass(frozen=True, slots=True)
class SpsInfo:
    sps_id: int
    profile: int
    constraints: int
    level: int
    width: int
    height: int
    interlaced: bool
    """Pictures may be fields (frame_mbs_only_flag is 0)."""
    frame_duration: int
    """90 kHz ticks by VUI timing, 0 where it is absent or absurd."""
    reorder_frames: int | None
    """max_num_reorder_frames; None where the VUI does not say."""
    numbering: "Numbering"

    @property
    def codecs(self) -> str:
        return f"avc1.{self.profile:02x}{self.constraints:02x}{self.level:02x}"


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the first slice of an access unit, and the kind of that slice."""

    body_at: int
    """Where the data begins once leading access unit delimiters are gone."""
    keyframe: bool
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    has_slice: bool
    b_slice: bool


def _skip_scaling_lists(bits: BitReader, count: int) -> None:
    for index in range(count):
        if not bits.u(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def _skip_hrd(bits: BitReader) -> None:
    count = bits.ue() + 1
    if count > 32:
        raise ValueError("cpb_cnt_minus1 is out of range")
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.u(1)
    bits.u(20)


def _parse_vui(bits: BitReader) -> tuple[int, int | None]:
    """(frame duration, max_num_reorder_frames)."""
    if bits.u(1) and bits.u(8) == 255:  # aspect_ratio_idc Extended_SAR
        bits.u(32)
    if bits.u(1):  # overscan
        bits.u(1)
    if bits.u(1):  # video_signal_type
        bits.u(4)
        if bits.u(1):
            bits.u(24)
    if bits.u(1):  # chroma_loc
        bits.ue()
        bits.ue()
    duration = 0
    if bits.u(1):  # timing_info
        units, scale = bits.u(32), bits.u(32)
        bits.u(1)
        if units and scale:
            ticks = (2 * 90_000 * units + scale // 2) // scale
            duration = ticks if 90_000 // 300 <= ticks <= 90_000 else 0
    hrds = 0
    for _ in range(2):
        if bits.u(1):
            _skip_hrd(bits)
            hrds += 1
    if hrds:
        bits.u(1)
    bits.u(1)
    if not bits.u(1):  # bitstream_restriction
        return duration, None
    bits.u(1)
    for _ in range(4):
        bits.ue()
    return duration, bits.ue()


def _parse_numbering(bits: BitReader, separate_planes: int) -> Numbering:
    frame_num_bits, order_type, order_bits, deltas = bits.ue() + 4, bits.ue(), 0, False
    if order_type == 0:
        order_bits = bits.ue() + 4
    elif order_type == 1:
        deltas = not bits.u(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    return Numbering(separate_planes == 1, frame_num_bits, order_type, order_bits, deltas)


def parse_sps(nal: bytes) -> SpsInfo:
    """Parse a sequence parameter set; `ValueError` where it is malformed."""
    bits = BitReader(nal[1:])
    profile, constraints, level, sps_id = bits.u(8), bits.u(8), bits.u(8), bits.ue()
    chroma, separate = 1, 0
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            separate = bits.u(1)
        bits.ue()
        bits.ue()
        bits.u(1)
        if bits.u(1):
            _skip_scaling_lists(bits, 12 if chroma == 3 else 8)
    numbering = _parse_numbering(bits, separate)
    bits.ue()
    bits.u(1)
    width, map_height = 16 * (bits.ue() + 1), bits.ue() + 1
    frame_mbs_only = bits.u(1)
    height = 16 * map_height * (2 - frame_mbs_only)
    if not frame_mbs_only:
        bits.u(1)
    bits.u(1)
    if bits.u(1):
        crop_x = 2 if chroma in (1, 2) and not separate else 1
        crop_y = (2 if chroma == 1 and not separate else 1) * (2 - frame_mbs_only)
        width -= crop_x * (bits.ue() + bits.ue())
        height -= crop_y * (bits.ue() + bits.ue())
    if sps_id > 31 or not 0 < width <= 16384 or not 0 < height <= 16384:
        raise ValueError("the SPS has impossible values")
    duration, reorder = _parse_vui(bits) if bits.u(1) else (0, None)
    return SpsInfo(
        sps_id,
        profile,
        constraints,
        level,
        width,
        height,
        not frame_mbs_only,
        duration,
        reorder,
        numbering,
    )


def pps_id(nal: bytes) -> int:
    return BitReader(nal[1:]).ue()


def _is_recovery_point(nal: bytes) -> bool:
    """SEI recovery_point (6) with recovery_frame_cnt 0: decoding may start here (§D.2.8)."""
    at = 1
    while at + 2 <= len(nal) and nal[at] != 0x80:
        kind = size = 0
        while at < len(nal) and nal[at] == 0xFF:
            kind, at = kind + 255, at + 1
        kind, at = kind + nal[at] if at < len(nal) else -1, at + 1
        while at < len(nal) and nal[at] == 0xFF:
            size, at = size + 255, at + 1
        if at >= len(nal):
            return False
        size, at = size + nal[at], at + 1
        if kind == 6 and size:
            return bool(nal[at : at + 1]) and nal[at] & 0x80 != 0  # ue(v) 0 is a single 1 bit
        at += size
    return False


def _slice_type(data: bytes, begin: int) -> int:
    try:
        bits = BitReader(data[begin + 1 : begin + 13])
        bits.ue()  # first_mb_in_slice
        return bits.ue()
    except ValueError:
        return -1


def read_head(data: bytes) -> Head:
    """Read an access unit up to its first slice."""
    body_at = 0
    leading, delimited, recovery = True, False, False
    sps: list[bytes] = []
    pps: list[bytes] = []
    for code, begin in nal_starts(data):
        kind = data[begin] & 0x1F if begin < len(data) else 0
        if kind != AUD and leading:
            body_at, leading = (code if delimited else 0), False
        delimited = delimited or kind == AUD
        if SLICE <= kind <= IDR:
            slice_type = _slice_type(data, begin)
            key = kind == IDR or (recovery and slice_type in _I_SLICES)
            return Head(body_at, key, tuple(sps), tuple(pps), True, slice_type % 5 == 1)
        nal = data[begin : nal_end(data, begin)]
        if kind == SPS:
            sps.append(nal)
        elif kind == PPS:
            pps.append(nal)
        elif kind == SEI:
            recovery = recovery or _is_recovery_point(nal)
    return Head(body_at, False, tuple(sps), tuple(pps), False, False)


class ParameterSets:
    """The parameter sets in force; `config` is the Annex B form of `Format.config`."""

    def __init__(self) -> None:
        self._sps: dict[int, bytes] = {}
        self._pps: dict[int, bytes] = {}
        self.info: SpsInfo | None = None

    def update(self, head: Head) -> None:
        """Take the sets of a keyframe. New SPSs replace all older ones."""
        found: dict[int, bytes] = {}
        info = None
        for nal in head.sps:
            try:
                parsed = parse_sps(nal)
            except ValueError:
                continue
            found[parsed.sps_id] = nal
            info = info or parsed
        if info:
            if found != self._sps:
                self._pps = {}
            self._sps, self.info = found, info
        for nal in head.pps:
            try:
                self._pps[pps_id(nal)] = nal
            except ValueError:
                continue

    @property
    def config(self) -> bytes:
        """Empty until there is at least one set of each kind."""
        if not self._sps or not self._pps:
            return b""
        nals = [
            *(n for _, n in sorted(self._sps.items())),
            *(n for _, n in sorted(self._pps.items())),
        ]
        return b"".join(START + nal for nal in nals)
