"""What of a programme WebRTC viewers get as it is, and what has to be encoded for them first.

Invariant: video that is handed on is H.264 in display order, whole from a keyframe on; audio that
is handed on is Opus. Everything else is named as `Input.ENCODED`, and one shared bridge makes it
usable. What is not known yet is `Input.NONE`. A rung of the ladder is H.264 in display order by how
it is made; it is there from its first keyframe until it lacks `RUNG_MISSED` pictures of the source.

Upstream: the bus, item by item. Downstream: `hotpath.fanout.feed`. Pure.
"""

from collections.abc import Iterable
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
from infra.renditions import RUNGS

Kind = Literal["video", "audio"]

MAIN = "main"
"""The rendition that shows the source, as it is or encoded."""
RUNG_MISSED = 120
"""Pictures of the source that a rung may lack before it counts as gone: two seconds at 60 fps."""
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
    rendition: str = MAIN
    """Of a picture: which one shows it."""


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


@dataclass(slots=True)
class _Rung:
    """One rung of the ladder."""

    begun: bool = False
    """It has shown a picture, here or before; else there is nothing that could end."""
    broken: bool = True
    missed: int = 0
    """Pictures of the source since its last own."""

    @property
    def present(self) -> bool:
        return self.begun and self.missed < RUNG_MISSED

    def takes(self, unit: Unit) -> bool:
        lost = self.broken or self.missed >= RUNG_MISSED
        self.missed = 0
        self.broken = unit.damaged or (lost and not unit.keyframe)
        self.begun = self.begun or not self.broken
        return not self.broken


class Selection:
    """One programme's inputs; see the module for the invariant."""

    def __init__(self, rungs: Iterable[str] = ()) -> None:
        """`rungs`: those of an incarnation before, which may go on."""
        self.formats: dict[str, Format] = {}
        self._rungs = {name: _Rung(begun=True) for name in rungs}
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

    @property
    def rungs(self) -> frozenset[str]:
        """Those of the ladder's renditions that are there now."""
        return frozenset(name for name, rung in self._rungs.items() if rung.present)

    def skipped(self) -> None:
        """Items were lost on the way here."""
        self._broken = True
        for rung in self._rungs.values():
            rung.broken = True

    def receive(self, item: Item) -> Taken | None:
        match item:
            case FormatChange(format=format):
                self._change(format)
            case CompanionEnd():
                self.formats.pop(COMPANION, None)
            case Sample(unit=unit, mark=mark) if unit.track == VIDEO:
                return self._take_video(unit, mark.pdt_ns)
            case Sample(unit=unit, mark=mark) if unit.track in RUNGS:
                return self._take_rung(unit, mark.pdt_ns)
            case Sample(unit=unit, mark=mark) if unit.track == AUDIO:
                return self._take_audio(unit, mark.pdt_ns, Input.SOURCE)
            case CompanionSample(unit=unit, pdt_ns=pdt_ns):
                return self._take_audio(unit, pdt_ns, Input.COMPANION)
        return None

    def _change(self, format: Format) -> None:
        self.formats[format.track] = format
        if format.track == VIDEO:
            self._order = DisplayOrder()
            self._broken = True
        elif format.track in RUNGS:
            self._rungs.setdefault(format.track, _Rung()).broken = True

    def _take_video(self, unit: Unit, wall_ns: int) -> Taken | None:
        format = self.formats.get(VIDEO)
        if format is None:
            return None
        self._order.receive(unit)
        for rung in self._rungs.values():
            rung.missed += 1
        if self.video is not Input.SOURCE or unit.damaged:
            self._broken = True
            return None
        if self._broken and not unit.keyframe:
            return None
        self._broken = False
        return Taken("video", unit, format, wall_ns)

    def _take_rung(self, unit: Unit, wall_ns: int) -> Taken | None:
        format, rung = self.formats.get(unit.track), self._rungs.get(unit.track)
        if format is None or rung is None or format.codec is not Codec.H264:
            return None
        if not rung.takes(unit):
            return None
        return Taken("video", unit, format, wall_ns, unit.track)

    def _take_audio(self, unit: Unit, wall_ns: int, via: Input) -> Taken | None:
        format = self.formats.get(unit.track)
        if format is None or unit.damaged or self.audio is not via:
            return None
        return Taken("audio", unit, format, wall_ns)
