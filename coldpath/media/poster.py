"""How well a picture stands for a programme; pure.

Invariant: a score is between 0 and 1 and depends on the picture alone. Black, white and empty
pictures score 0. Of two pictures of one scene the sharper one scores higher.

Upstream: pictures of `keyframes`. Downstream: the thumbnail function takes the best.
"""

import numpy as np
import numpy.typing as npt

_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_DARK, _BRIGHT, _FLAT = 20, 240, 8
"""Mean luma, and its standard deviation, beyond which a picture shows nothing."""
_MID, _FULL_CONTRAST, _FULL_COLOUR, _HALF_SHARP = 118, 64, 60, 150
"""Where each measure is as good as it gets; sharpness has no end, so where it is half as good."""


def score(picture: npt.NDArray[np.uint8]) -> float:
    """0 for a picture that shows nothing, towards 1 for a clear one."""
    luma = picture.astype(np.float32) @ _LUMA
    brightness, contrast = float(luma.mean()), float(luma.std())
    if not _DARK <= brightness <= _BRIGHT or contrast < _FLAT:
        return 0.0
    exposure = 1 - abs(brightness - _MID) / 255
    lively = 0.5 + 0.3 * min(1, contrast / _FULL_CONTRAST)
    lively += 0.2 * min(1, colourfulness(picture) / _FULL_COLOUR)
    variance = sharpness(luma)
    return exposure * lively * variance / (variance + _HALF_SHARP)


def sharpness(luma: npt.NDArray[np.float32]) -> float:
    """Variance of the Laplacian: what changes from pixel to pixel, which blur takes away."""
    if min(luma.shape) < 3:
        return 0.0
    middle = luma[1:-1, 1:-1]
    beside = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((beside - 4 * middle).var())


def colourfulness(picture: npt.NDArray[np.uint8]) -> float:
    """Hasler and Süsstrunk, Measuring colourfulness in natural images (2003); 0 for grey."""
    red, green, blue = (picture[::4, ::4, n].astype(np.float32) for n in range(3))
    across, along = red - green, (red + green) / 2 - blue
    spread = np.hypot(across.std(), along.std())
    return float(spread + 0.3 * np.hypot(across.mean(), along.mean()))
