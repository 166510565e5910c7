"""How much of a ladder a machine can encode in real time.

Pure. Invariant: a ladder is trimmed from its most expensive rung on, never silently; a source
without any rung is served as it is.

Upstream: `ladder_worker`, which has measured how fast this machine encodes and sees which pictures
come too late.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.renditions import LadderRung

DECODE = 0.25
"""What a pixel of the source costs to decode, in pixels encoded."""
HEADROOM = 0.8
"""Of the cores given; pictures that are harder than the calibration's take the rest."""
NS = 1_000_000_000
WINDOW_NS = 6 * NS
"""Pictures that come too late for so long are no accident."""
PERSISTENT = 0.2
"""Share of the pictures of a window."""
FEW = 30
"""A window with fewer pictures says nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    width: int
    height: int
    fps: int

    @property
    def pixel_rate(self) -> int:
        return self.width * self.height * self.fps

    def rung_rate(self, rung: LadderRung) -> int:
        """Pixels a second of the source's picture, scaled to the rung's height."""
        return self.width * rung.height * rung.height * self.fps // max(self.height, 1)


@dataclass(frozen=True, slots=True)
class Admission:
    kept: tuple[LadderRung, ...]
    trimmed: tuple[LadderRung, ...]
    cores: float
    """What `kept` takes."""

    def words(self, given: float) -> str:
        if not self.trimmed:
            return ""
        return (
            f"{_names(self.trimmed)} left out: this machine has {given:.1f} cores left for the "
            f"renditions of this stream, and they would take more. {_rest(self.kept)}"
        )


def predict(rungs: Sequence[LadderRung], source: Source, speed: float) -> float:
    """Cores that the rungs take where one core encodes `speed` pixels a second."""
    if not rungs:
        return 0.0
    encoded = sum(source.rung_rate(rung) for rung in rungs)
    return (encoded + DECODE * source.pixel_rate) / speed


def admit(rungs: Sequence[LadderRung], source: Source, *, speed: float, cores: float) -> Admission:
    """Keep what fits into the cores given, the cheapest rungs first."""
    kept = sorted(rungs, key=lambda rung: -rung.height)
    trimmed: list[LadderRung] = []
    while kept and predict(kept, source, speed) > HEADROOM * cores:
        trimmed.append(kept.pop(0))
    return Admission(tuple(kept), tuple(trimmed), predict(kept, source, speed))


def overload_words(dropped: LadderRung, kept: Sequence[LadderRung]) -> str:
    return (
        f"{dropped.name} stopped: this machine did not keep up with the renditions of this stream "
        f"and had to leave pictures out. {_rest(kept)}"
    )


def _names(rungs: Sequence[LadderRung]) -> str:
    names = ", ".join(rung.name for rung in rungs)
    return f"{names} {'is' if len(rungs) == 1 else 'are'}"


def _rest(kept: Sequence[LadderRung]) -> str:
    if not kept:
        return "Viewers get the source only."
    return f"Viewers get the source and {', '.join(rung.name for rung in kept)}."


@dataclass(slots=True)
class Overload:
    """Whether lateness persists."""

    _seen: deque[tuple[int, bool]] = field(default_factory=deque)
    _late: int = 0
    _since_ns: int | None = None

    def receive(self, late: bool, now_ns: int) -> bool:
        """A picture was left out (`late`) or not; True: drop a rung, and look anew from here on."""
        if self._since_ns is None:
            self._since_ns = now_ns
        self._seen.append((now_ns, late))
        self._late += late
        while now_ns - self._seen[0][0] > WINDOW_NS:
            self._late -= self._seen.popleft()[1]
        whole = now_ns - self._since_ns >= WINDOW_NS and len(self._seen) >= FEW
        if not whole or self._late < PERSISTENT * len(self._seen):
            return False
        self._seen.clear()
        self._late, self._since_ns = 0, now_ns
        return True
