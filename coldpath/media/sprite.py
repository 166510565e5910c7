"""Storyboards: many small pictures on few sheets, and the WebVTT that says where each is.

Invariant: the layout depends on the shots alone, not on what of them decodes; cues follow one
another without a gap from 0 to the end.

Upstream: `shots`. Downstream: a player's scrub bar: `sheet-0.jpg#xywh=160,0,160,90`, relative to
the WebVTT file (W3C Media Fragments, 4.2.2).
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from coldpath.media.shots import Shot

COLUMNS, ROWS = 10, 5
PER_SHEET = COLUMNS * ROWS
_QUALITY = 72


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a shot's picture is and how long it stands for what is played."""

    shot: Shot
    sheet: int
    left: int
    top: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Every cell is `width` by `height` pixels."""

    width: int
    height: int
    cells: tuple[Cell, ...]

    @property
    def sheets(self) -> int:
        return self.cells[-1].sheet + 1 if self.cells else 0

    def on(self, sheet: int) -> list[Cell]:
        return list(self.cells[sheet * PER_SHEET : (sheet + 1) * PER_SHEET])


def sheet_name(sheet: int) -> str:
    return f"sheet-{sheet}.jpg"


def storyboard(shots: Sequence[Shot], *, width: int, height: int, length_ms: int) -> Storyboard:
    """The layout of these shots over a presentation of `length_ms`."""
    starts = [0, *(shot.at_ms for shot in shots[1:])]
    ends = [*starts[1:], max(length_ms, starts[-1] + 1)]
    return Storyboard(
        width,
        height,
        tuple(
            Cell(
                shot,
                sheet=number // PER_SHEET,
                left=number % COLUMNS * width,
                top=number // COLUMNS % ROWS * height,
                from_ms=start,
                to_ms=end,
            )
            for number, (shot, start, end) in enumerate(zip(shots, starts, ends, strict=True))
        ),
    )


def webvtt(board: Storyboard) -> str:
    """One cue per cell, the picture's place as its text."""
    return "\n".join(["WEBVTT", "", *_cues(board)])


def draw(board: Storyboard, sheet: int, pictures: Mapping[int, npt.NDArray[np.uint8]]) -> bytes:
    """The sheet as JPEG; `pictures` by their shots' `at_ms`.

    A shot without a picture shows the one before it on the sheet; the first ones are black.
    """
    cells = board.on(sheet)
    columns, rows = min(COLUMNS, len(cells)), -(-len(cells) // COLUMNS)
    drawn = Image.new("RGB", (columns * board.width, rows * board.height))
    shown = None
    for cell in cells:
        shown = pictures.get(cell.shot.at_ms, shown)
        if shown is None:
            continue
        # A programme may have changed its shape: what does not fill its cell is in the middle.
        tile = Image.new("RGB", (board.width, board.height))
        middle = (board.width - shown.shape[1]) // 2, (board.height - shown.shape[0]) // 2
        tile.paste(Image.fromarray(shown), middle)
        drawn.paste(tile, (cell.left, cell.top))
    out = io.BytesIO()
    drawn.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _cues(board: Storyboard) -> Iterator[str]:
    for cell in board.cells:
        place = f"{cell.left},{cell.top},{board.width},{board.height}"
        yield f"{_clock(cell.from_ms)} --> {_clock(cell.to_ms)}"
        yield f"{sheet_name(cell.sheet)}#xywh={place}"
        yield ""


def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
