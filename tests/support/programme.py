"""A programme under a test: publishers' units, a clock that the test moves, what came out when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hotpath.media.unit import (
    AUDIO,
    VIDEO,
    Codec,
    Format,
    Item,
    PartCut,
    Sample,
    SegmentCut,
    Unit,
)
from hotpath.program.options import SECOND, Numbers, ProgramOptions
from hotpath.program.service import Program
from hotpath.program.states import OpenWanted, ProgramEvent

HZ = 90_000
EPOCH = 1_790_000_000 * SECOND
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360, frame_duration=3000)
LARGER = Format(VIDEO, Codec.H264, HZ, b"sps2", "avc1.42c01f", 1280, 720, frame_duration=3000)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"asc", "mp4a.40.2", sample_rate=48_000, frame_duration=1024)
GERMAN = replace(AAC, track="audio-2", language="de")


def media(
    seconds: float, start: float = 0, *, gop: int = 30, audio: bool = True, data: bytes = b"v"
) -> list[Unit]:
    """30 fps and AAC from `start` on, a publisher's clock that equals the wall clock."""
    units = []
    for n in range(round(start * 30), round((start + seconds) * 30)):
        at = EPOCH + n * SECOND // 30
        units.append(Unit(VIDEO, n * 3000, n * 3000, n % gop == 0, data, at, at))
    if audio:
        for n in range(round(start * 46.875), round((start + seconds) * 46.875)):
            dts = n * 1920
            at = EPOCH + dts * SECOND // HZ
            units.append(Unit(AUDIO, dts, dts, True, b"a", at, at))
    return sorted(units, key=lambda unit: unit.dts)


class Harness:
    """A programme whose storage opens when the test says so, on a clock that the test moves."""

    def __init__(self, *, open_at_once: bool = True, **options: int) -> None:
        self.events: list[ProgramEvent] = []
        self.items: list[Item] = []
        self.times: list[int] = []
        """When each of them came."""
        self.now = 0
        self._open_at_once = open_at_once
        self.program = Program(ProgramOptions(**options), self._heard)

    def _heard(self, event: ProgramEvent) -> None:
        self.events.append(event)
        if isinstance(event, OpenWanted) and self._open_at_once:
            self.open(event.epoch_ns)

    def open(self, epoch_ns: int = EPOCH) -> None:
        self.program.opened(self.publish, Numbers(0, 0, epoch_ns), self.now, EPOCH + self.now)

    def publish(self, items: Iterable[Item]) -> None:
        for item in items:
            self.items.append(item)
            self.times.append(self.now)

    def connect(self, publisher: int = 1, formats: Sequence[Format] = (H264, AAC)) -> None:
        self.program.publisher_connected(publisher, self.now, EPOCH + self.now)
        self.program.publisher_formats(publisher, formats, self.now, EPOCH + self.now)

    def send(self, units: Iterable[Unit], publisher: int = 1) -> None:
        for unit in units:
            self.now = max(self.now, unit.ingest_ns - EPOCH)
            self.poll()
            self.program.publisher_units(publisher, [unit], self.now, EPOCH + self.now)

    def lose(self, publisher: int = 1) -> None:
        self.program.publisher_lost(publisher, "gone", self.now, EPOCH + self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, polling whenever the programme asked for it."""
        until = self.now + round(seconds * SECOND)
        while (due := self.program.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.poll()
        self.now = until

    def poll(self) -> None:
        due = self.program.next_deadline()
        if due is not None and due <= self.now:
            self.program.poll(self.now, EPOCH + self.now)

    def heard(self, kind: type) -> list[ProgramEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def samples(self, track: str = VIDEO) -> list[Sample]:
        return [i for i in self.items if isinstance(i, Sample) and i.unit.track == track]

    def parts(self, track: str = VIDEO) -> "list[Part]":
        """Every part that was cut, by itself or with its segment."""
        found: list[Part] = []
        open_part: Part | None = None
        for item, at in zip(self.items, self.times, strict=True):
            match item:
                case Sample(unit=unit, mark=mark) if unit.track == track:
                    if open_part is None:
                        open_part = Part(unit.dts, mark.msn, mark.discontinuity_seq)
                    open_part.units.append(unit)
                case PartCut(track=name, end=end) | SegmentCut(track=name, end=end) if (
                    name == track
                ):
                    last = isinstance(item, SegmentCut)
                    if open_part is not None:
                        open_part.end, open_part.at, open_part.last = end, at, last
                        found.append(open_part)
                    elif last and found and found[-1].msn == item.msn:
                        found[-1].last = True
                    open_part = None
                case _:
                    pass
        return found


@dataclass
class Part:
    start: int
    msn: int
    discontinuity_seq: int
    units: list[Unit] = field(default_factory=list)
    end: int = 0
    at: int = 0
    """When it was complete, monotonic ns."""
    last: bool = False
    """Of its segment."""

    @property
    def timescale(self) -> int:
        """Ticks per second of its times."""
        return HZ if self.units[0].track == VIDEO else AAC.timescale

    @property
    def slate(self) -> bool:
        return all(unit.slate for unit in self.units)
