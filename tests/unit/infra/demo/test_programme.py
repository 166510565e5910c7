"""The demo's picture."""

import numpy as np
import pytest

from infra.demo import barcode
from infra.demo.barcode import Stamp
from infra.demo.programme import Programme


@pytest.fixture(scope="module")
def programme() -> Programme:
    return Programme(640, 360, 30)


def plane(programme: Programme, frame: bytearray) -> barcode.Plane:
    size = programme.width * programme.height
    luma = np.frombuffer(bytes(frame[:size]), dtype=np.uint8)
    return luma.reshape(programme.height, programme.width)


def test_frame_is_yuv420p_of_its_size(programme: Programme) -> None:
    assert len(programme.frame(0, 0)) == programme.frame_bytes == 640 * 360 * 3 // 2


def test_frame_depends_on_its_arguments_alone(programme: Programme) -> None:
    first = programme.frame(1_795_000_000_000, 7)
    programme.frame(1_795_000_009_000, 8)
    assert programme.frame(1_795_000_000_000, 7) == first
    assert Programme(640, 360, 30).frame(1_795_000_000_000, 7) == first


@pytest.mark.parametrize("index", [0, 1, 299, 54_000, 16_777_215])
def test_every_frame_carries_its_stamp(programme: Programme, index: int) -> None:
    frame = programme.frame(1_795_000_000_123, index)
    assert barcode.read(plane(programme, frame)) == Stamp(1_795_000_000_123, index)


def test_picture_below_the_barcode_moves(programme: Programme) -> None:
    top = barcode.strip_height(programme.height)
    before, after = (plane(programme, programme.frame(0, n))[top:].astype(int) for n in (10, 20))
    assert (np.abs(before - after) > 2).mean() > 0.05


def test_clock_is_drawn_in_words(programme: Programme) -> None:
    top = barcode.strip_height(programme.height)
    one, other = (plane(programme, programme.frame(ms, 5))[top:] for ms in (0, 3_600_000))
    changed = np.argwhere(one != other)
    assert changed.size
    # Only where the clock stands: in the upper half, in the middle.
    assert changed[:, 0].max() + top < programme.height // 2
    assert changed[:, 1].min() > programme.width // 8


@pytest.mark.parametrize("size", [(1281, 720), (1280, 722)])
def test_size_that_breaks_the_chroma_grid_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="divide"):
        Programme(*size, 30)
