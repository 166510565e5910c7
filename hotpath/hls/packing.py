"""One gzip member out of pieces that were compressed apart.

A playlist of hours changes at its ends every 200 ms. What lies between is compressed once, a piece
at a time, and copied: a full flush ends a piece at a byte and refers to nothing before it.
Invariant: `member` decompresses to its pieces' bytes in their order.

Upstream: `older` keeps the pieces, `reply` asks for the member. Spec: RFC 1951 3.2.3, RFC 1952.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

LEVEL = 5
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Deflate, no name, no time, any system."""
_POLYNOMIAL = 0xEDB88320
_ONE, _X = 1 << 31, 1 << 30
"""Polynomials over GF(2) as CRC-32 writes them: the highest bit is the lowest power."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes, compressed so that any other piece may follow."""

    plain: bytes
    packed: bytes

    @classmethod
    def of(cls, plain: bytes) -> "Piece":
        return cls(plain, _deflated(plain, zlib.Z_FULL_FLUSH))


@dataclass(frozen=True, slots=True)
class Run:
    """Pieces in a row, joined once for all members that they are part of."""

    pieces: tuple[Piece, ...]
    packed: bytes
    length: int
    crc: int
    shift: int
    """What the CRC of something before the run is multiplied with."""

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> "Run":
        crc, length = 0, 0
        for piece in pieces:
            crc = zlib.crc32(piece.plain, crc)
            length += len(piece.plain)
        packed = b"".join([piece.packed for piece in pieces])
        return cls(tuple(pieces), packed, length, crc, _shift(length))


def member(head: bytes, run: Run, tail: bytes) -> bytes:
    """`head`, what is in `run` and `tail`, as gzip."""
    crc = zlib.crc32(tail, _product(run.shift, zlib.crc32(head)) ^ run.crc)
    length = (len(head) + run.length + len(tail)) & 0xFFFF_FFFF
    return b"".join(
        (
            _HEADER,
            _deflated(head, zlib.Z_FULL_FLUSH),
            run.packed,
            _deflated(tail, zlib.Z_FINISH),
            crc.to_bytes(4, "little"),
            length.to_bytes(4, "little"),
        )
    )


def _deflated(plain: bytes, end: int) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush(end)


def _product(a: int, b: int) -> int:
    """a · b modulo the polynomial."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = a << 1 & 0xFFFF_FFFF
        b = b >> 1 ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


@cache
def _squares() -> tuple[int, ...]:
    """x to the powers 1, 2, 4, 8, …"""
    powers = [_X]
    for _ in range(31):
        powers.append(_product(powers[-1], powers[-1]))
    return tuple(powers)


def _shift(length: int) -> int:
    """x to the power of the bits in `length` bytes: CRC(ab) is CRC(a) · shift(len b) ^ CRC(b)."""
    power, bits, at = _ONE, 8 * length, 0
    while bits:
        if bits & 1:
            # x has the order 2^32 - 1, so its squares come again after 32.
            power = _product(_squares()[at & 31], power)
        bits >>= 1
        at += 1
    return power
