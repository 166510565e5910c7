"""The 90 kHz clock of MPEG-2 systems: 33-bit timestamps made continuous.

Invariant: `Unwrapper.unwrap` returns a value equal to its argument modulo 2**33 and nearest to the
value returned before, so a wrap (every 26.5 hours) is no jump. This is the only place where the
33-bit wrap exists. ISO/IEC 13818-1 §2.4.3.7.
"""

CLOCK = 90_000
"""Ticks per second of PTS and DTS."""
WRAP = 1 << 33
_HALF = 1 << 32


class Unwrapper:
    """One per publisher, shared by its tracks, so that all of them wrap at the same place.

    The first values may come out below zero when tracks straddle the wrap; only differences mean
    anything before the programme's timeline.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, timestamp: int) -> int:
        last = self._last
        if last is None:
            self._last = timestamp
            return timestamp
        difference = (timestamp - last) % WRAP
        value = last + (difference - WRAP if difference >= _HALF else difference)
        self._last = value
        return value


def rescale(value: int, numerator: int, denominator: int) -> int:
    """value * numerator / denominator, rounded to nearest (halves up)."""
    return (2 * value * numerator + denominator) // (2 * denominator)
