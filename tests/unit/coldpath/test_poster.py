"""Which pictures stand for a programme, on pictures that are made up."""

import numpy as np
import numpy.typing as npt
import pytest

from coldpath.media.poster import colourfulness, score

Picture = npt.NDArray[np.uint8]
LINES, COLUMNS = 180, 320


def plain(level: int) -> Picture:
    return np.full((LINES, COLUMNS, 3), level, dtype=np.uint8)


def scene(seed: int = 1) -> Picture:
    """Coloured blocks with hard edges."""
    blocks = np.random.default_rng(seed).integers(20, 236, (9, 16, 3), dtype=np.uint8)
    return blocks.repeat(20, axis=0).repeat(20, axis=1)


def blurred(picture: Picture, by: int = 12) -> Picture:
    """A box of `by` pixels, along each axis."""
    soft = picture.astype(np.float64)
    for axis in (0, 1):
        soft = np.mean([np.roll(soft, n, axis) for n in range(by)], axis=0)
    return soft.astype(np.uint8)


@pytest.mark.parametrize("level", [0, 10, 16, 128, 250, 255])
def test_a_picture_of_one_tone_shows_nothing(level: int) -> None:
    assert score(plain(level)) == 0


def test_a_dark_picture_with_noise_shows_nothing() -> None:
    noise = np.random.default_rng(2).integers(0, 30, (LINES, COLUMNS, 3), dtype=np.uint8)
    assert score(noise) == 0


@pytest.mark.parametrize("seed", range(5))
def test_blur_loses(seed: int) -> None:
    sharp = scene(seed)
    assert 0 < score(blurred(sharp)) < score(blurred(sharp, 4)) < score(sharp) < 1


def test_a_picture_that_fades_in_loses() -> None:
    faded = (scene() * 0.3).astype(np.uint8)
    assert 0 < score(faded) < score(scene())


def test_grey_loses_against_colour() -> None:
    coloured = scene()
    grey = coloured.mean(axis=2).astype(np.uint8)[..., None].repeat(3, axis=2)
    assert colourfulness(grey) == 0
    assert colourfulness(coloured) > 30


def test_a_picture_too_small_to_judge_scores_0() -> None:
    assert score(scene()[:2, :40]) == 0
