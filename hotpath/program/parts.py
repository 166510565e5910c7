"""Where a part ends: between 85 % of the part target and the whole of it, whatever frames do.

Invariant: with pictures that are expected to last no longer than a part, every part but the last of
its segment lasts from `shortest` to the target. Where no end of a frame lies in between, the part
takes one frame more, which is decoded in full, and ends at the target; the frame behind it is
decoded as much earlier, by less than a part, and shown when it would have been. Pure; used only by
`hotpath.program.marks`. Spec: draft-pantos-hls-rfc8216bis 4.4.4.9.
"""

from hotpath.media.unit import VIDEO
from hotpath.program.track import Track

SHORTEST_PART = 85
"""Percent of the part target."""


def shortest(target: int) -> int:
    """The least that a part may last, in the ticks of `target`."""
    return -(-target * SHORTEST_PART // 100)


def end_before(track: Track, dts: int, target: int) -> int | None:
    """Where the open part ends if the unit decoded at `dts` is not in it; None: it is."""
    start, duration = track.part_start, track.cadence.duration
    if start is None or dts + duration - start <= target:
        return None
    if _may_wait(track) and dts - start < shortest(target):
        return None
    return min(dts, start + target)


def end_behind(track: Track, target: int) -> int | None:
    """Where the part ends with its newest unit; None: another is expected to fit, or needed."""
    start, end = track.part_start or 0, track.end or 0
    if end + track.cadence.duration - start <= target:
        return None
    if not _may_wait(track):
        return end
    if end - start < shortest(target):
        return None
    # Where fewer pictures come than parts, each is a part as long as it lasts.
    return min(end, start + target) if track.cadence.duration <= target else end


def _may_wait(track: Track) -> bool:
    """Pictures may be decoded earlier than they are shown; sound may not, and its frames are
    short."""
    return track.format.track == VIDEO
