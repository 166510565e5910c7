"""Proof that an exact cut begins and ends with the right picture.

`verify` counts access units and decodes the edges of the file; here the first and the last picture
are compared, small and grey, with those of the recording, and so is the time of the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from coldpath.errors import DamagedMedia
from coldpath.media.verify import verify

Thumb = NDArray[np.int16]
_WIDTH, _HEIGHT = 64, 36
MAX_APART = 12.0
"""Grey levels between picture and picture on average; encoding again costs one or two."""
_CLOCK = Fraction(1, 1000)


@dataclass(slots=True)
class Ends:
    """The first and the last picture as they were recorded."""

    first: Thumb | None = None
    last: Thumb | None = None
    last_at: Fraction = Fraction(0)
    """Seconds from the first picture."""


def thumb(picture: VideoFrame) -> Thumb:
    small = picture.reformat(width=_WIDTH, height=_HEIGHT, format="gray")
    return small.to_ndarray().astype(np.int16)


def check(path: Path, units: Mapping[str, int], ends: Ends) -> None:
    """Raises `DamagedMedia` unless the file holds these units and begins and ends like that."""
    verify(path, units)
    if ends.first is None or ends.last is None:
        return
    with av.open(str(path), format="mp4") as container:
        video = container.streams.video[0]
        video.thread_type = "SLICE"
        first = next(container.decode(video))
        container.seek(video.duration or 0, stream=video, backward=True)
        *_, last = container.decode(video)
        base = video.time_base or Fraction(1)
        for name, picture, wanted, at in (
            ("first", first, ends.first, Fraction(0)),
            ("last", last, ends.last, ends.last_at),
        ):
            shown = (picture.pts or 0) * base
            if abs(shown - at) > _CLOCK:
                raise DamagedMedia(f"the {name} picture is at {float(shown)} s, not {float(at)} s")
            apart = float(np.abs(thumb(picture) - wanted).mean())
            if apart > MAX_APART:
                raise DamagedMedia(
                    f"the {name} picture is another one: {apart:.1f} levels of grey apart"
                )
