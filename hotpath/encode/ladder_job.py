"""What one ladder has to do. Pure data.

Upstream: `hotpath.encode.ladder` sends it to its child as the first record.
"""

from dataclasses import dataclass

from hotpath.encode.job import EncodeError, EncodeSettings
from hotpath.media.unit import Format
from infra.renditions import LadderRung

LADDER_SETTINGS = EncodeSettings(late_ms=500)


@dataclass(frozen=True, slots=True)
class LadderJob:
    source: Format
    """Of the programme's video; its timescale counts the units of both sides."""
    rungs: tuple[LadderRung, ...]
    """The tallest first; none is taller than the source."""
    cores: float
    """How much of the machine it may take."""
    settings: EncodeSettings = LADDER_SETTINGS

    def __post_init__(self) -> None:
        if self.source.codec.kind != "video":
            raise EncodeError(f"{self.source.codec.value} is no source of a ladder")
        if not self.rungs:
            raise EncodeError("a ladder has at least one rung")
        if self.source.timescale <= 0:
            raise EncodeError("a clock has at least one tick a second")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(rung.name for rung in self.rungs)
