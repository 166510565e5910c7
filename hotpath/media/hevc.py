"""HEVC: what the media plane needs to know of an access unit, without decoding it.

Upstream: `hotpath.media.access_units`. ITU-T H.265 §7.3.1-7.3.3; ISO/IEC 14496-15 annex E for
the `hvc1` codecs string.
"""

from dataclasses import dataclass

from hotpath.media.annexb import START, BitReader, nal_end, nal_starts

VPS, SPS, PPS, AUD = 32, 33, 34, 35
_FIRST_IRAP, _LAST_IRAP, _FIRST_NON_VCL = 16, 23, 32


@dataclass(frozen=True, slots=True)
class SpsInfo:
    codecs: str
    width: int
    height: int
    reorder_pics: int
    sps_id: int
    separate_planes: bool
    order_bits: int
    """Of slice_pic_order_cnt_lsb."""
    tree_blocks: int
    """Coding tree blocks of a picture."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the first slice segment of an access unit, and the kind of that slice."""

    body_at: int
    keyframe: bool
    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    has_slice: bool


def _read_profile_tier_level(bits: BitReader) -> str:
    """The general part, as the `hvc1` codecs string says it."""
    space, tier, profile = bits.u(2), bits.u(1), bits.u(5)
    compatibility, rest, level = bits.u(32), bits.u(48).to_bytes(6, "big"), bits.u(8)
    reversed_flags = int(f"{compatibility:032b}"[::-1], 2)
    name = f"hvc1.{'ABC'[space - 1] if space else ''}{profile}.{reversed_flags:X}"
    name += f".{'H' if tier else 'L'}{level}"
    return name + "".join(f".{byte:X}" for byte in rest.rstrip(b"\0"))


def parse_sps(nal: bytes) -> SpsInfo:
    """Parse a sequence parameter set; `ValueError` where it is malformed."""
    bits = BitReader(nal[2:])
    bits.u(4)
    sub_layers = bits.u(3)
    bits.u(1)
    codecs = _read_profile_tier_level(bits)
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.u(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.u(88 * has_profile + 8 * has_level)
    sps_id, chroma = bits.ue(), bits.ue()
    separate = chroma == 3 and bits.u(1) == 1
    width, height = coded = bits.ue(), bits.ue()
    if bits.u(1):  # conformance window
        crop_x, crop_y = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1)
        width -= crop_x * (bits.ue() + bits.ue())
        height -= crop_y * (bits.ue() + bits.ue())
    if not 0 < width <= 16384 or not 0 < height <= 16384:
        raise ValueError("the SPS has impossible values")
    bits.ue()
    bits.ue()
    order_bits, reorder = bits.ue() + 4, 0
    for _ in range(sub_layers + 1 if bits.u(1) else 1):
        bits.ue()
        reorder = bits.ue()
        bits.ue()
    block = 8 << bits.ue() + bits.ue()
    if order_bits > 16 or block > 64:
        raise ValueError("the SPS has impossible values")
    blocks = -(-coded[0] // block) * -(-coded[1] // block)
    return SpsInfo(codecs, width, height, reorder, sps_id, separate, order_bits, blocks)


def read_head(data: bytes) -> Head:
    """Read an access unit up to its first slice segment."""
    body_at = 0
    leading, delimited = True, False
    sets: dict[int, list[bytes]] = {VPS: [], SPS: [], PPS: []}

    def head(keyframe: bool, has_slice: bool) -> Head:
        return Head(
            body_at, keyframe, tuple(sets[VPS]), tuple(sets[SPS]), tuple(sets[PPS]), has_slice
        )

    for code, begin in nal_starts(data):
        if begin >= len(data):
            break
        kind = data[begin] >> 1 & 0x3F
        if kind != AUD and leading:
            body_at, leading = (code if delimited else 0), False
        delimited = delimited or kind == AUD
        if kind in sets:
            sets[kind].append(data[begin : nal_end(data, begin)])
        elif kind < _FIRST_NON_VCL:
            return head(_FIRST_IRAP <= kind <= _LAST_IRAP, True)
    return head(False, False)


class ParameterSets:
    """The parameter sets in force; `config` is the Annex B form of `Format.config`."""

    def __init__(self) -> None:
        self._sets: tuple[tuple[bytes, ...], ...] = ((), (), ())
        self.info: SpsInfo | None = None

    def update(self, head: Head) -> None:
        """Take the sets of a keyframe; each kind replaces the older ones."""
        info = None
        for nal in head.sps[:1]:
            try:
                info = parse_sps(nal)
            except ValueError:
                return
        if info:
            self.info = info
        new = (head.vps, head.sps, head.pps)
        self._sets = tuple(n or old for n, old in zip(new, self._sets, strict=True))

    @property
    def config(self) -> bytes:
        """Empty until there is at least one set of each kind."""
        if not all(self._sets) or not self.info:
            return b""
        return b"".join(START + nal for nals in self._sets for nal in nals)
