"""The first and the last picture of a cut as they were recorded, and the pictures beside them.

Upstream: `run_cut`, which decodes a group of a recording or all of it. Downstream: `cut_check`.
"""

from collections.abc import Iterator

from av.video.frame import VideoFrame

from coldpath.errors import DamagedMedia
from coldpath.media.cut_check import Ends, Thumb, thumb


def beside(pictures: Iterator[VideoFrame], pts: int) -> tuple[Thumb, tuple[Thumb, ...]]:
    """The picture that is shown at `pts`, and those shown just before and after it. `pictures` come
    in the order in which they are shown. Raises `DamagedMedia` when it is not among them."""
    before: VideoFrame | None = None
    for picture in pictures:
        if picture.pts == pts:
            return thumb(picture), _thumbs(before, next(pictures, None))
        before = picture
    raise DamagedMedia(f"the picture at {pts} does not decode")


class EndsSeen:
    """Notes both ends of a run while its pictures go by, in the order in which they are shown."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._before: VideoFrame | None = None
        self._after_first_comes = False
        self._last: tuple[VideoFrame | None, VideoFrame] | None = None
        """The newest one that is wanted, behind the one before it."""
        self._after_last: VideoFrame | None = None

    def receive(self, picture: VideoFrame, *, wanted: bool) -> None:
        """The next picture; `wanted`: it is part of the cut."""
        if self._after_first_comes:
            self._ends.beside_first += _thumbs(picture)
            self._after_first_comes = False
        if wanted:
            if self._ends.first is None:
                self._ends.first = thumb(picture)
                self._ends.beside_first = _thumbs(self._before)
                self._after_first_comes = True
            self._last, self._after_last = (self._before, picture), None
        elif self._after_last is None:
            self._after_last = picture
        self._before = picture

    def finish(self) -> None:
        """No picture is left."""
        if self._last is not None:
            before, last = self._last
            self._ends.last = thumb(last)
            self._ends.beside_last = _thumbs(before, self._after_last)


def _thumbs(*pictures: VideoFrame | None) -> tuple[Thumb, ...]:
    return tuple(thumb(picture) for picture in pictures if picture is not None)
