"""H.264 configurations and the two ways of writing NAL units; pure.

Invariant: `AvcConfig.parse(data).to_bytes() == data` for every record this module accepts, and
`nal_units(length_prefixed(nals)) == nals`.

Two encodings fit into one `avc1` track when their parameter sets have different ids and all of them
are in its `avcC`: each slice names the picture parameter set it needs. Players that know only the
configuration record then need nothing in-band.

Spec: ISO/IEC 14496-15 5.3.3.1 (avcC), 14496-10 7.3.2.1, 7.3.2.2 and Annex B.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

IDR, SEI, SPS, PPS, DELIMITER = 5, 6, 7, 8, 9
_MOST_SPS, _MOST_PPS = 31, 255
_MOST_IDS = 32
"""Ids of sequence parameter sets are 0 to 31."""


@dataclass(frozen=True, slots=True)
class AvcConfig:
    """An AVCDecoderConfigurationRecord."""

    profile: int
    compatibility: int
    """Constraint flags."""
    level: int
    length_size: int
    """Bytes of the length in front of each NAL unit."""
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    extension: bytes = b""
    """Chroma format and bit depths, of High profiles."""

    @classmethod
    def parse(cls, data: bytes) -> "AvcConfig":
        """Raises `ValueError` for what is no configuration record."""
        if len(data) < 7 or data[0] != 1:
            raise ValueError("no AVC configuration record")
        sps, at = _sets(data, 6, data[5] & 0x1F)
        if at >= len(data):
            raise ValueError("the AVC configuration record is cut short")
        pps, at = _sets(data, at + 1, data[at])
        if not sps or not pps:
            raise ValueError("the AVC configuration record lacks parameter sets")
        return cls(data[1], data[2], data[3], (data[4] & 3) + 1, sps, pps, data[at:])

    def to_bytes(self) -> bytes:
        if len(self.sps) > _MOST_SPS or len(self.pps) > _MOST_PPS:
            raise ValueError("too many parameter sets for an AVC configuration record")
        head = [1, self.profile, self.compatibility, self.level]
        head += [0xFC | self.length_size - 1, 0xE0 | len(self.sps)]
        sps = b"".join(len(each).to_bytes(2, "big") + each for each in self.sps)
        pps = b"".join(len(each).to_bytes(2, "big") + each for each in self.pps)
        return bytes(head) + sps + bytes([len(self.pps)]) + pps + self.extension

    def merged(self, sps: Sequence[bytes], pps: Sequence[bytes]) -> "AvcConfig":
        """With further parameter sets, whose ids must be free here; a decoder for it can do both.

        Raises `ValueError` where an id is taken or the profiles differ.
        """
        for taken, new in ((self.sps_ids, sps), (self.pps_ids, pps)):
            if taken & {_id(each) for each in new}:
                raise ValueError("a parameter set id is taken")
        if any(each[1] != self.profile for each in sps):
            raise ValueError("the profiles differ")
        compatibility = self.compatibility
        for each in sps:
            compatibility &= each[2]
        return replace(
            self,
            compatibility=compatibility,
            level=max([self.level, *(each[3] for each in sps)]),
            sps=(*self.sps, *sps),
            pps=(*self.pps, *pps),
        )

    @property
    def sps_ids(self) -> frozenset[int]:
        return frozenset(_id(each) for each in self.sps)

    @property
    def pps_ids(self) -> frozenset[int]:
        return frozenset(_id(each) for each in self.pps)

    def free_id(self) -> int:
        """An id that no parameter set of either kind has."""
        taken = self.sps_ids | self.pps_ids
        for number in range(_MOST_IDS):
            if number not in taken:
                return number
        raise ValueError("every parameter set id is taken")


def _sets(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    found = []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        each = data[at + 2 : at + 2 + size]
        if len(each) != size or size < 2:
            raise ValueError("a parameter set is cut short")
        found.append(each)
        at += 2 + size
    return tuple(found), at


def _id(parameter_set: bytes) -> int:
    """seq_parameter_set_id or pic_parameter_set_id: the first Exp-Golomb number, in an SPS behind
    profile, constraints and level."""
    body = parameter_set[4:] if parameter_set[0] & 0x1F == SPS else parameter_set[1:]
    bits = "".join(f"{byte:08b}" for byte in body[:4])
    zeros = bits.find("1")
    if zeros < 0 or len(bits) < 2 * zeros + 1:
        raise ValueError("a parameter set has no id")
    return int(bits[zeros : 2 * zeros + 1], 2) - 1


def from_annex_b(data: bytes) -> list[bytes]:
    """The NAL units of a byte stream."""
    found = []
    at = data.find(b"\0\0\1")
    while at >= 0:
        begin = at + 3
        at = data.find(b"\0\0\1", begin)
        # A NAL unit never ends with 0x00: zeros there belong to the next start code.
        nal = (data[begin:at] if at >= 0 else data[begin:]).rstrip(b"\0")
        if nal:
            found.append(nal)
    return found


def length_prefixed(nals: Iterable[bytes]) -> bytes:
    """With four bytes of length in front of each."""
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)


def nal_units(data: bytes) -> Iterator[bytes]:
    """The NAL units of an access unit with four-byte lengths; stops before one that is cut."""
    at = 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + size > len(data):
            return
        if size:
            yield data[at + 4 : at + 4 + size]
        at += 4 + size


def kind(nal: bytes) -> int:
    """nal_unit_type."""
    return nal[0] & 0x1F


def is_idr(data: bytes) -> bool:
    """Whether the access unit (four-byte lengths) is an IDR picture."""
    return any(kind(nal) == IDR for nal in nal_units(data))
