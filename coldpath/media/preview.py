"""Pictures as files: a JPEG, and a few of them as a moving preview.

The same pictures give the same bytes. Upstream: `keyframes`. Downstream: the thumbnail functions.
"""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

PREVIEW_SIDE = 320
_FRAME_MS = 600
_PREVIEW_QUALITY, _POSTER_QUALITY = 60, 82


def jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    # Progressive: a poster shows something before all of it is there.
    Image.fromarray(picture).save(out, "JPEG", quality=_POSTER_QUALITY, progressive=True)
    return out.getvalue()


def reduced(picture: npt.NDArray[np.uint8], longest: int) -> npt.NDArray[np.uint8]:
    """The picture, neither side longer than that."""
    image = Image.fromarray(picture)
    image.thumbnail((longest, longest), Image.Resampling.BOX)
    return np.asarray(image)


def animated(pictures: Sequence[npt.NDArray[np.uint8]]) -> bytes:
    """WebP that shows one picture after the other, for ever."""
    shape = pictures[0].shape
    # Frames of an animation have one size; what a programme showed in another shape is left out.
    first, *rest = [Image.fromarray(p) for p in pictures if p.shape == shape]
    out = io.BytesIO()
    first.save(
        out,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=_FRAME_MS,
        loop=0,
        quality=_PREVIEW_QUALITY,
        method=4,
    )
    return out.getvalue()


def size(image: bytes) -> tuple[int, int]:
    """Width and height of an image file; only its head is read."""
    with Image.open(io.BytesIO(image)) as opened:
        return opened.size
