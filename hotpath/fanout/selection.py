"""What of a programme WebRTC viewers get as it is, and what has to be encoded for them first.

Invariant: video that is handed on is H.264 in display order, whole from a keyframe on; audio that
is handed on is Opus. Everything else is named as `Input.ENCODED`, and one shared bridge makes it
usable. What is not known yet is `Input.NONE`.

Upstream: the bus, item by item. Downstream: `hotpath.fanout.feed`. Pure.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from hotpath.media.unit import (
    AUDIO,
    COMPANION,
    VIDEO,
    Codec,
    CompanionEnd,
    CompanionSample,
    Format,
    FormatChange,
    Item,
    Sample,
    Unit,
)

Kind = Literal["video", "audio"]

PROOF = 16
"""Units that come in display order, though they could be shown later, before that is believed."""


class Input(Enum):
    NONE = "none"
    SOURCE = "source"
    COMPANION = "companion"
    ENCODED = "encoded"


@dataclass(frozen=True, slots=True)
class Taken:
    """A unit to be packetized as it is."""

    kind: Kind
    unit: Unit
    format: Format
    wall_ns: int
    """Programme wall clock of the unit's pts."""


class DisplayOrder:
    """Whether pictures are coded in the order in which they are shown: no B-frames."""

    def __init__(self) -> None:
        self.known: bool | None = None
        self._highest: int | None = None
        self._seen = 0

    def receive(self, unit: Unit) -> None:
        if self._highest is not None and unit.pts < self._highest:
            self.known = False
        self._highest = unit.pts if self._highest is None else max(self._highest, unit.pts)
        self._seen += 1
        # Some encoders delay every picture and reorder none, so a delay alone proves nothing.
        if self.known is None and (unit.pts == unit.dts or self._seen >= PROOF):
            self.known = True


class Selection:
    """One programme's inputs; see the module for the invariant."""

    def __init__(self) -> None:
        self.formats: dict[str, Format] = {}
        self._order = DisplayOrder()
        self._broken = True
        """No usable keyframe since the start, a loss or a new format."""

    @property
    def video(self) -> Input:
        format = self.formats.get(VIDEO)
        if format is None:
            return Input.NONE
        if format.codec is not Codec.H264 or self._order.known is False:
            return Input.ENCODED
        return Input.SOURCE if self._order.known else Input.NONE

    @property
    def audio(self) -> Input:
        if COMPANION in self.formats:
            return Input.COMPANION
        format = self.formats.get(AUDIO)
        if format is None:
            return Input.NONE
        return Input.SOURCE if format.codec is Codec.OPUS else Input.ENCODED

    def skipped(self) -> None:
        """Items were lost on the way here."""
        self._broken = True

    def receive(self, item: Item) -> Taken | None:
        match item:
            case FormatChange(format=format):
                self._change(format)
            case CompanionEnd():
                self.formats.pop(COMPANION, None)
            case Sample(unit=unit, mark=mark) if unit.track == VIDEO:
                return self._take_video(unit, mark.pdt_ns)
            case Sample(unit=unit, mark=mark) if self.audio is Input.SOURCE:
                return self._take_audio(unit, mark.pdt_ns)
            case CompanionSample(unit=unit, pdt_ns=pdt_ns) if self.audio is Input.COMPANION:
                return self._take_audio(unit, pdt_ns)
        return None

    def _change(self, format: Format) -> None:
        self.formats[format.track] = format
        if format.track == VIDEO:
            self._order = DisplayOrder()
            self._broken = True

    def _take_video(self, unit: Unit, wall_ns: int) -> Taken | None:
        format = self.formats.get(VIDEO)
        if format is None:
            return None
        self._order.receive(unit)
        if self.video is not Input.SOURCE or unit.damaged:
            self._broken = True
            return None
        if self._broken and not unit.keyframe:
            return None
        self._broken = False
        return Taken("video", unit, format, wall_ns)

    def _take_audio(self, unit: Unit, wall_ns: int) -> Taken | None:
        format = self.formats.get(unit.track)
        if format is None or unit.damaged:
            return None
        return Taken("audio", unit, format, wall_ns)
