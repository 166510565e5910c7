"""Annex B byte streams of H.264 and HEVC: NAL units, RBSP bits.

Only the head of an access unit is split: everything of interest stands before the first slice, so
its NAL units are looked for no further. ITU-T H.264 annex B and §7.3.1, H.265 annex B.
"""

from collections.abc import Iterator

START = b"\0\0\0\x01"


def nal_starts(data: bytes) -> Iterator[tuple[int, int]]:
    """(position of the start code, of the first NAL byte) of each NAL unit, lazily."""
    at = data.find(b"\0\0\x01")
    while at >= 0:
        begin = at + 3
        yield at - 1 if at and data[at - 1] == 0 else at, begin
        at = data.find(b"\0\0\x01", begin)


def nal_end(data: bytes, begin: int) -> int:
    """Where the NAL unit that begins here ends; zero bytes before the next one are not its."""
    end = data.find(b"\0\0\x01", begin)
    end = len(data) if end < 0 else end
    while end > begin and data[end - 1] == 0:
        end -= 1
    return end


class BitReader:
    """Reads the RBSP of a NAL unit; past its end every bit is an error."""

    def __init__(self, nal: bytes) -> None:
        rbsp = nal.replace(b"\0\0\x03", b"\0\0")  # emulation prevention
        self._value = int.from_bytes(rbsp, "big")
        self._left = self._size = len(rbsp) * 8

    @property
    def read(self) -> int:
        """How many bits were read."""
        return self._size - self._left

    def u(self, bits: int) -> int:
        self._left -= bits
        if self._left < 0:
            raise ValueError("the NAL unit ends too early")
        return self._value >> self._left & ((1 << bits) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("an Exp-Golomb code is too long")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)
