"""Publishers of one programme under a switcher, on a clock that moves with the media."""

from collections.abc import Iterable, Sequence

from hotpath.media.unit import (
    AUDIO,
    VIDEO,
    Codec,
    Format,
    Item,
    Sample,
    Unit,
)
from hotpath.program.service import SECOND, Numbers, ProgramOptions
from hotpath.program.states import (
    OpenWanted,
)
from hotpath.program.switcher import Switcher
from hotpath.program.switches import SwitcherEvent
from infra.publishers import Role

HZ = 90_000
EPOCH = 1_790_000_000 * SECOND
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360, frame_duration=3000)
LARGER = Format(VIDEO, Codec.H264, HZ, b"sps2", "avc1.42c01f", 1280, 720, frame_duration=3000)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"asc", "mp4a.40.2", sample_rate=48_000, frame_duration=1024)
PRIMARY, BACKUP = Role.PRIMARY, Role.BACKUP
FRAME = SECOND // 30
CLOCKS = 5_000_000
"""Ticks between the beginnings of two publishers' clocks."""


class Harness:
    """A switcher whose storage opens at once, on a clock that moves with the media."""

    def __init__(self, **options: int) -> None:
        self.events: list[SwitcherEvent] = []
        self.items: list[Item] = []
        self.now = 0
        self.switcher = Switcher(ProgramOptions(**options), self._heard)

    def _heard(self, event: SwitcherEvent) -> None:
        self.events.append(event)
        if isinstance(event, OpenWanted):
            numbers = Numbers(0, 0, event.epoch_ns)
            self.switcher.opened(self._publish, numbers, self.now, EPOCH + self.now)

    def _publish(self, items: Iterable[Item]) -> None:
        self.items += items

    def connect(
        self, publisher: int, role: Role = PRIMARY, formats: Sequence[Format] = (H264, AAC)
    ) -> None:
        self.switcher.publisher_connected(publisher, role, self.now, EPOCH + self.now)
        self.switcher.publisher_formats(publisher, formats, self.now, EPOCH + self.now)

    def send(self, seconds: float, *publishers: int, gop: int = 30) -> None:
        """Frames of these publishers side by side, in real time."""
        for _ in range(round(seconds * 30)):
            self.now += FRAME
            self.poll()
            for publisher in publishers:
                units = frames(publisher, self.now, gop)
                self.switcher.publisher_units(publisher, units, self.now, EPOCH + self.now)

    def lose(self, publisher: int, reason: str = "connection-lost") -> None:
        self.switcher.publisher_lost(publisher, reason, self.now, EPOCH + self.now)

    def replace(self, publisher: int) -> None:
        self.switcher.publisher_replaced(publisher, self.now, EPOCH + self.now)

    def hold(self) -> None:
        self.switcher.hold(EPOCH + self.now)

    def release(self) -> None:
        self.switcher.release(self.now, EPOCH + self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, polling whenever that was asked for."""
        until = self.now + round(seconds * SECOND)
        while (due := self.switcher.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.poll()
        self.now = until

    def poll(self) -> None:
        for _ in range(20):
            due = self.switcher.next_deadline()
            if due is None or due > self.now:
                return
            self.switcher.poll(self.now, EPOCH + self.now)
        raise AssertionError("it asks to be polled for ever")

    def heard(self, kind: type) -> list[SwitcherEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def pictures(self, publisher: int | None = None) -> list[Sample]:
        tag = None if publisher is None else b"%d" % publisher
        return [
            item
            for item in self.items
            if isinstance(item, Sample)
            and item.unit.track == VIDEO
            and (tag is None or item.unit.data == tag)
        ]


def frames(publisher: int, now: int, gop: int) -> list[Unit]:
    """A picture and its sound, whose bytes say whose they are."""
    number = round(now / FRAME)
    dts, at = publisher * CLOCKS + number * 3000, EPOCH + now
    tag = b"%d" % publisher
    picture = Unit(VIDEO, dts, dts, number % gop == 0, tag, at, at)
    return [picture, Unit(AUDIO, dts, dts, True, tag, at, at)]
