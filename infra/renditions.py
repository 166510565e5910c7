"""Which renditions an event may ask for beside its source, and what each of them is.

Invariant: a name means the same height and bitrate everywhere: in the API, on the bus, where it is
also the track's name, and in playlists. Upstream: `infra.control`, which takes the names from
clients. Downstream: the media plane, which encodes, lists and sends them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class LadderRung:
    """One video rendition that is encoded beside the source."""

    name: str
    """Also its track on the bus and its folder in playlists."""
    height: int
    bitrate: int
    """Bits a second, at most."""


RUNGS: Mapping[str, LadderRung] = MappingProxyType(
    {
        rung.name: rung
        for rung in (
            LadderRung("1080p", 1080, 5_000_000),
            LadderRung("720p", 720, 2_800_000),
            LadderRung("480p", 480, 1_400_000),
            LadderRung("360p", 360, 800_000),
            LadderRung("240p", 240, 400_000),
        )
    }
)
"""By name, the tallest first."""

AUDIO_ONLY = "audio-only"
"""Not encoded: the sound of the source, offered to players without a picture."""

NAMES = (*RUNGS, AUDIO_ONLY)
MOST = 5
"""Renditions of one event, beside the source."""


def rungs_of(names: Iterable[str]) -> tuple[LadderRung, ...]:
    """What is to be encoded for these renditions, the tallest first."""
    wanted = set(names)
    return tuple(rung for name, rung in RUNGS.items() if name in wanted)


def within(heights: Mapping[str, int], cap: str | None) -> frozenset[str]:
    """Which of the renditions (name -> height, 0: not known yet) a viewer with this cap may have.

    None is taller than the rung `cap`; where all are, the lowest: a cap takes quality, no picture.
    """
    if cap is None or not heights:
        return frozenset(heights)
    most = RUNGS[cap].height
    fitting = frozenset(name for name, height in heights.items() if 0 < height <= most)
    return fitting or frozenset({min(heights, key=lambda name: heights[name] or math.inf)})
