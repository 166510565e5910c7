"""Sound beside a picture: what arrives in bursts leaves evenly, and lands where it would have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Item, PartCut, Sample, SegmentCut, Unit
from hotpath.program.lag import MOST_S, Lag
from hotpath.program.marks import MarkWriter

HZ, RATE, FPS = 90_000, 48_000, 30
PART = 0.215
FRAME = 1024 / RATE
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360, frame_duration=HZ // FPS)
AAC = Format(AUDIO, Codec.AAC, RATE, b"asc", "mp4a.40.2", sample_rate=RATE, frame_duration=1024)

Arrival = Callable[[int], float]
"""When the frame of that number comes, in seconds on the picture's clock; never before the last."""


def bursts(size: int, late: float = 0) -> Arrival:
    """Frames come when the last of so many is there."""
    return lambda n: (n // size + 1) * size * FRAME + late


@dataclass
class Run:
    """Picture and sound written as they arrive."""

    sound: Arrival
    seconds: float = 12
    items: list[Item] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    """When each item came, in seconds on the picture's clock."""
    arrived: dict[int, float] = field(default_factory=dict)
    """dts of sound -> the picture's clock when it came."""

    def __post_init__(self) -> None:
        writer = MarkWriter(epoch_ns=0)
        pictures = [(n / FPS, self._picture(n)) for n in range(int(self.seconds * FPS))]
        count = int(self.seconds / FRAME)
        come = accumulate((self.sound(n) for n in range(count)), max)
        frames = [(at, self._frame(n)) for n, at in enumerate(come)]
        clock = 0.0
        self._add(writer.begin([H264, AAC], 0), clock)
        for _, unit in sorted([*pictures, *frames], key=lambda each: each[0]):
            if unit.track == VIDEO:
                clock = unit.dts / HZ
            else:
                self.arrived[unit.dts] = clock
            self._add(writer.write(unit, 0), clock)
        self.live = len(self.items)
        self._add(writer.end(0, final=True), clock)

    def _add(self, items: Sequence[Item], clock: float) -> None:
        self.items += items
        self.at += [clock] * len(items)

    def _picture(self, n: int) -> Unit:
        return Unit(VIDEO, n * 3000, n * 3000, n % 60 == 0, b"v", 0, 0)

    def _frame(self, n: int) -> Unit:
        return Unit(AUDIO, n * 1024, n * 1024, True, b"a", 0, 0)

    def of(self, track: str) -> list[Item]:
        return [
            item
            for item in self.items
            if (isinstance(item, Sample) and item.unit.track == track)
            or (isinstance(item, PartCut | SegmentCut) and item.track == track)
        ]

    def parts(self, after: float = 3) -> list[float]:
        """When parts of the sound were complete."""
        live = zip(self.items[: self.live], self.at, strict=False)
        return [
            at
            for item, at in live
            if isinstance(item, PartCut | SegmentCut) and item.track == AUDIO and at >= after
        ]

    def delays(self) -> dict[int, float]:
        """dts of a frame of sound -> how long it waited here."""
        return {
            item.unit.dts: at - self.arrived[item.unit.dts]
            for item, at in zip(self.items, self.at, strict=True)
            if isinstance(item, Sample) and item.unit.track == AUDIO
        }


@pytest.mark.parametrize("size", [6, 10, 16, 24, 40])
def test_parts_of_sound_that_comes_in_bursts_are_complete_one_by_one(size: int) -> None:
    gaps = [after - before for before, after in pairwise(Run(bursts(size)).parts())]
    assert len(gaps) > 30
    assert max(gaps) <= PART + 1 / FPS + 1e-6


def test_without_it_they_would_not_be() -> None:
    """The bursts of the test before are such that it could fail."""
    arrivals = sorted({bursts(16)(n) for n in range(200)})
    assert min(after - before for before, after in pairwise(arrivals)) > PART + 0.1


@pytest.mark.parametrize("size", [6, 16, 40])
def test_the_longest_delay_is_not_longer_than_without(size: int) -> None:
    run = Run(bursts(size))
    late = {dts: run.arrived[dts] - dts / RATE for dts in run.delays()}
    waited = [late[dts] + delay for dts, delay in run.delays().items()]
    assert max(waited) <= max(late.values()) + 1 / FPS + 1e-6


@pytest.mark.parametrize("late", [-0.3, 0.0, 0.05, 0.3, 0.9])
def test_sound_that_comes_evenly_does_not_wait_however_late_it_is(late: float) -> None:
    run = Run(lambda n: (n + 1) * FRAME + late)
    ahead = max(0.0, -late)
    delays = [delay for dts, delay in run.delays().items() if dts / RATE < 11]
    assert max(delays) <= ahead + 2 / FPS


def test_jitter_of_a_network_delays_nothing() -> None:
    jitter = (0, 8, 21, 3, 17, 30, 5, 12)
    run = Run(lambda n: (n + 1) * FRAME + 0.04 + jitter[n % len(jitter)] / 1000)
    assert max(delay for dts, delay in run.delays().items() if dts / RATE < 11) <= 1 / FPS


def test_sound_that_was_late_once_soon_waits_no_more() -> None:
    """As from an encoder that takes a second to start."""
    run = Run(lambda n: max(1.2, (n + 1) * FRAME + 0.05))
    assert max(delay for dts, delay in run.delays().items() if 3.2 < dts / RATE < 11) <= 1 / FPS


def test_the_delay_goes_when_the_bursts_do() -> None:
    def calm_after_4_s(n: int) -> float:
        return bursts(16)(n) if n * FRAME < 4 else (n + 1) * FRAME + 0.02

    run = Run(calm_after_4_s, seconds=14)
    delays = run.delays()
    assert max(delay for dts, delay in delays.items() if dts / RATE < 4) > 0.2
    assert max(delay for dts, delay in delays.items() if 11 < dts / RATE < 13) <= 1 / FPS
    gaps = [after - before for before, after in pairwise(run.parts(1.5))]
    assert max(gaps) <= PART + 1 / FPS + 1e-6


def test_bursts_of_more_than_the_most_are_spread_as_far_as_that() -> None:
    run = Run(bursts(80), seconds=16)
    assert max(run.delays().values()) <= MOST_S + 1 / FPS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 0.4)), min_size=1, max_size=20),
    st.integers(4, 9),
)
def test_where_a_frame_lands_does_not_depend_on_when_it_came(
    sizes: list[tuple[int, float]], seconds: int
) -> None:
    arrivals: list[float] = []
    at = 0.0
    while len(arrivals) < seconds / FRAME:
        size, late = sizes[len(arrivals) % len(sizes)]
        at = max(at, (len(arrivals) + size) * FRAME + late)
        arrivals += [at] * size
    run = Run(arrivals.__getitem__, seconds=seconds)
    even = Run(lambda n: (n + 1) * FRAME, seconds=seconds)
    assert run.of(VIDEO) == even.of(VIDEO)
    assert run.of(AUDIO) == even.of(AUDIO)
    placed = [item.unit.dts for item in run.of(AUDIO) if isinstance(item, Sample)]
    assert placed == [n * 1024 for n in range(len(placed))]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(-50_000, 120_000)), max_size=200))
def test_a_delay_is_bounded_and_never_longer_than_what_was_seen(
    moves: list[tuple[int, int]],
) -> None:
    lag, clock, worst = Lag(RATE), 0, 0
    for step, late in moves:
        clock += step
        lag.receive(clock - late, 1024, clock, 4000)
        worst = max(worst, late)
        lag.advance(1024, clock, 4000)
        assert 0 <= lag.ticks <= MOST_S * RATE
        assert lag.ticks <= max(worst, 0)


def test_another_beginning_forgets_the_bursts() -> None:
    writer = MarkWriter(epoch_ns=0)
    writer.begin([H264, AAC], 0)
    lengths = []
    for start in (0, 20 * FPS):
        released = 0
        for n in range(start, start + 30):
            writer.write(Unit(VIDEO, n * 3000, n * 3000, n == start, b"v", 0, 0), 0)
            first = int(Fraction(n - 1, FPS) * RATE) // 1024 * 1024
            if start or n % 10 == 9:
                count = 1 if start else 16
                for k in range(count):
                    dts = first - (count - 1 - k) * 1024
                    made = writer.write(Unit(AUDIO, dts, dts, True, b"a", 0, 0), 0)
                    released += sum(isinstance(item, Sample) for item in made)
        lengths.append(released)
        writer.begin([H264, AAC], 0)
    assert lengths[1] >= 18
