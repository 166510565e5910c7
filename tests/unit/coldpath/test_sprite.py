"""The layout of storyboards and what is drawn of it."""

import io
import re

import numpy as np
from PIL import Image

from coldpath.media.recording import Segment
from coldpath.media.shots import Shot
from coldpath.media.sprite import PER_SHEET, Storyboard, draw, storyboard, webvtt
from infra.manifest import SegmentEntry

SEGMENT = Segment(
    "s",
    "i",
    SegmentEntry(
        msn=0,
        init=0,
        start=0,
        duration=1,
        bytes=1,
        samples=1,
        discontinuity_seq=0,
        independent=True,
        pdt_ns=0,
    ),
)


def board(count: int, *, first_ms: int = 0, length_ms: int | None = None) -> Storyboard:
    shots = [Shot(first_ms + 2_000 * n, SEGMENT) for n in range(count)]
    length = first_ms + 2_000 * count if length_ms is None else length_ms
    return storyboard(shots, width=160, height=90, length_ms=length)


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def tone(level: int, height: int = 90, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def test_cues_cover_everything_from_0_to_the_end() -> None:
    found = board(73, first_ms=3_000, length_ms=150_200)
    assert found.cells[0].from_ms == 0
    assert found.cells[-1].to_ms == 150_200
    for before, after in zip(found.cells, found.cells[1:], strict=False):
        assert before.to_ms == after.from_ms
        assert before.from_ms < before.to_ms
    assert found.sheets == 2
    assert [len(found.on(n)) for n in range(3)] == [PER_SHEET, 23, 0]


def test_no_two_cells_share_a_place() -> None:
    places = {(c.sheet, c.left, c.top) for c in board(120).cells}
    assert len(places) == 120


def test_the_text() -> None:
    text = webvtt(board(12, length_ms=3_723_045))
    assert text.startswith(
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nsheet-0.jpg#xywh=0,0,160,90\n\n"
    )
    assert text.endswith("00:00:22.000 --> 01:02:03.045\nsheet-0.jpg#xywh=160,90,160,90\n")
    assert len(re.findall(" --> ", text)) == 12


def test_a_sheet_is_as_large_as_what_is_on_it() -> None:
    assert pixels(draw(board(3), 0, {})).shape == (90, 480, 3)
    assert pixels(draw(board(63), 0, {})).shape == (450, 1600, 3)
    assert pixels(draw(board(63), 1, {})).shape == (180, 1600, 3)


def test_a_cell_without_a_picture_shows_the_one_before() -> None:
    drawn = pixels(draw(board(4), 0, {2_000: tone(90), 6_000: tone(200)}))
    middle = drawn[45, [80, 240, 400, 560], 0].astype(int)
    assert np.abs(middle - [0, 90, 90, 200]).max() <= 2


def test_what_has_another_shape_stays_in_its_cell() -> None:
    tall, wide = tone(255, height=160, width=90), tone(255, height=20, width=400)
    drawn = pixels(draw(board(3), 0, {0: tall, 2_000: wide, 4_000: tone(0)}))
    assert drawn[45, 80, 0] > 250
    assert drawn[45, 5, 0] < 5  # beside the tall one
    assert drawn[45, 240, 0] > 250
    assert drawn[10, 240, 0] < 5  # above the wide one
    assert drawn[45, 330:470, 0].max() < 40
