"""A wall clock and a frame number that survive video coding, and their reader.

Invariant: `read(draw(stamp))` is `stamp` through any coding that keeps cells apart by a few levels
of grey, and at any size of the picture; a damaged code reads as None, never as another stamp (a
CRC-16 guards it). Pure: planes in, planes out. Upstream: `programme` draws it right before a frame
is written to the encoder. Downstream: `player` and `verify` read it from decoded frames.

Layout: `ROWS` x `COLUMNS` cells across the whole width at the top of the luma plane. The first cell
of each row is white and the last is black: they give the threshold. Between them, row by row, most
significant bit first: 44 bits of Unix milliseconds, 24 bits of frame number, 16 bits of CRC.
"""

import binascii
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

COLUMNS, ROWS = 44, 2
CLOCK_BITS, INDEX_BITS, CRC_BITS = 44, 24, 16
BITS = CLOCK_BITS + INDEX_BITS + CRC_BITS
ROW_HEIGHT = 1 / 36
"""Of a row, as part of the picture's height: 20 lines at 720p, 10 at 360p."""
WHITE, BLACK = 235, 16
MIN_CONTRAST = 40
"""Levels between the white and the black reference below which nothing is read."""

assert BITS == ROWS * (COLUMNS - 2)  # noqa: S101 - the layout above, kept honest


@dataclass(frozen=True, slots=True)
class Stamp:
    unix_ms: int
    """Wall clock when the frame was drawn."""
    index: int
    """Number of the frame, from 0."""


def encode(stamp: Stamp) -> int:
    """The 84 bits of the code."""
    if not 0 <= stamp.unix_ms < 1 << CLOCK_BITS or not 0 <= stamp.index < 1 << INDEX_BITS:
        raise ValueError(f"{stamp} does not fit the barcode")
    body = stamp.unix_ms << INDEX_BITS | stamp.index
    return body << CRC_BITS | _crc(body)


def decode(code: int) -> Stamp | None:
    """The stamp in the 84 bits, or None when the CRC does not match."""
    body = code >> CRC_BITS
    if _crc(body) != code & (1 << CRC_BITS) - 1:
        return None
    return Stamp(body >> INDEX_BITS, body & (1 << INDEX_BITS) - 1)


def _crc(body: int) -> int:
    # Started at all ones, so that an all-black strip is no valid code.
    return binascii.crc_hqx(body.to_bytes((CLOCK_BITS + INDEX_BITS + 7) // 8, "big"), 0xFFFF)


def strip_height(height: int) -> int:
    """Lines at the top of a picture of `height` lines that belong to the barcode (even)."""
    return max(2 * ROWS, round(height * ROW_HEIGHT / 2) * 2 * ROWS)


def draw(luma: Plane, stamp: Stamp) -> None:
    """Draw the stamp into the top of the luma plane, in place."""
    height, width = luma.shape
    code = encode(stamp)
    bits = np.array([code >> shift & 1 for shift in range(BITS - 1, -1, -1)], dtype=bool)
    cells = np.empty((ROWS, COLUMNS), dtype=np.uint8)
    cells[:, 0], cells[:, -1] = WHITE, BLACK
    cells[:, 1:-1] = np.where(bits.reshape(ROWS, COLUMNS - 2), WHITE, BLACK)
    columns = np.arange(width) * COLUMNS // width
    rows = np.arange(strip_height(height)) * ROWS // strip_height(height)
    luma[: rows.size] = cells[rows[:, None], columns]


def read(luma: Plane) -> Stamp | None:
    """Read the stamp from a decoded luma plane of any size, or None when there is none."""
    height, width = luma.shape
    if width < 3 * COLUMNS or strip_height(height) > height:
        return None
    cells = _cell_means(luma, height, width)
    white, black = cells[:, 0].mean(), cells[:, -1].mean()
    if white - black < MIN_CONTRAST:
        return None
    bits = (cells[:, 1:-1] > (white + black) / 2).ravel()
    # `packbits` fills the last byte with zeros behind the code.
    return decode(int.from_bytes(np.packbits(bits).tobytes(), "big") >> -BITS % 8)


def _cell_means(luma: Plane, height: int, width: int) -> NDArray[np.float64]:
    """Mean level of the middle of every cell; its edges carry the coding's ringing."""
    lines = [_middle(row, strip_height(height) / ROWS) for row in range(ROWS)]
    bands = np.stack([luma[top:bottom].mean(axis=0) for top, bottom in lines])
    edges = np.array([_middle(column, width / COLUMNS) for column in range(COLUMNS)])
    # Every other sum is of what lies between two middles.
    sums = np.add.reduceat(bands, edges.ravel(), axis=1)[:, ::2]
    return np.asarray(sums / (edges[:, 1] - edges[:, 0]))


def _middle(number: int, size: float) -> tuple[int, int]:
    start = round((number + 0.3) * size)
    return start, max(start + 1, round((number + 0.7) * size))
