"""The units whose pictures are inside the decoder or the encoder.

Pure. Invariant: bounded; a picture finds the unit that it came from, by timestamp, and a unit whose
picture can no longer come is forgotten. Used by `hotpath.encode.picture`.
"""

from hotpath.media.unit import Unit

MAX = 256


class Passing:
    def __init__(self) -> None:
        self._decoding: dict[int, Unit] = {}
        self._encoding: dict[int, Unit] = {}

    def receive(self, unit: Unit) -> None:
        """Goes to the decoder."""
        self._decoding[unit.pts] = unit
        while len(self._decoding) > MAX:
            del self._decoding[next(iter(self._decoding))]

    def decoded(self, pts: int | None) -> tuple[Unit | None, int]:
        """(the unit of this picture, how many before it gave none): pictures come in order."""
        unit = None if pts is None else self._decoding.pop(pts, None)
        if unit is None or pts is None:
            return None, 0
        older = [each for each in self._decoding if each < pts]
        for each in older:
            del self._decoding[each]
        return unit, len(older)

    def encode(self, unit: Unit) -> None:
        """Its picture goes to the encoder."""
        self._encoding[unit.pts] = unit
        while len(self._encoding) > MAX:
            del self._encoding[next(iter(self._encoding))]

    def encoded(self, pts: int) -> Unit | None:
        return self._encoding.pop(pts, None)

    def lost(self) -> None:
        """The decoder was emptied."""
        self._decoding.clear()
