"""Proof that an exact cut begins and ends with the right picture.

`verify` counts access units and decodes the edges of the file; here the first and the last picture
are compared, small and grey, with those of the recording, and so is the time of the last. Pictures
beside each other look alike, so each is also compared with those that were recorded just before and
after the wanted one: a cut that is off by one picture looks like one of these.
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
TELLING = 1.5
"""Grey levels by which a picture must differ from the one beside it to be told from it. In what
moves less, an encoder may leave out the difference; in a still picture there is none."""
_CLOCK = Fraction(1, 1000)


@dataclass(slots=True)
class Ends:
    """The first and the last picture as they were recorded."""

    first: Thumb | None = None
    last: Thumb | None = None
    last_at: Fraction = Fraction(0)
    """Seconds from the first picture."""
    beside_first: tuple[Thumb, ...] = ()
    """Those recorded just before and after it, as far as they were decoded."""
    beside_last: tuple[Thumb, ...] = ()


def thumb(picture: VideoFrame) -> Thumb:
    small = picture.reformat(width=_WIDTH, height=_HEIGHT, format="gray")
    return small.to_ndarray().astype(np.int16)


def check(path: Path, units: Mapping[str, int], ends: Ends) -> None:
    """Raises `DamagedMedia` unless the file holds these units and begins and ends like that."""
    verify(path, units)
    if ends.first is None or ends.last is None:
        return
    wanted = (
        ("first", ends.first, ends.beside_first, Fraction(0)),
        ("last", ends.last, ends.beside_last, ends.last_at),
    )
    with av.open(str(path), format="mp4") as container:
        video = container.streams.video[0]
        video.thread_type = "SLICE"
        first = next(container.decode(video))
        container.seek(video.duration or 0, stream=video, backward=True)
        *_, last = container.decode(video)
        base = video.time_base or Fraction(1)
        for picture, (name, recorded, beside, at) in zip((first, last), wanted, strict=True):
            shown = (picture.pts or 0) * base
            if abs(shown - at) > _CLOCK:
                raise DamagedMedia(f"the {name} picture is at {float(shown)} s, not {float(at)} s")
            _compare(name, thumb(picture), recorded, beside)


def _compare(name: str, shown: Thumb, recorded: Thumb, beside: tuple[Thumb, ...]) -> None:
    away = apart(shown, recorded)
    if away > MAX_APART:
        raise DamagedMedia(f"the {name} picture is another one: {away:.1f} levels of grey apart")
    for other in beside:
        if apart(recorded, other) >= TELLING and away > 2 * apart(shown, other):
            raise DamagedMedia(
                f"the {name} picture is the one beside: {apart(shown, other):.1f} levels of grey "
                f"apart from that, {away:.1f} from the one it should be"
            )


def apart(one: Thumb, other: Thumb) -> float:
    """Grey levels between them on average."""
    return float(np.abs(one - other).mean())
