"""How long parts and segments may be, in a track's ticks."""

from dataclasses import dataclass

from hotpath.program.track import Track


@dataclass(frozen=True, slots=True)
class Limits:
    """Fixed for a programme's life: players were told."""

    part_target_ms: int
    target_duration_s: int

    def part(self, track: Track) -> int:
        """The part target."""
        return self.part_target_ms * track.format.timescale // 1000

    def segment(self, track: Track) -> int:
        """The target duration, where a segment is cut if nothing speaks for later."""
        return self.target_duration_s * track.format.timescale

    def longest(self, track: Track) -> int:
        """What a segment may last to take a keyframe in: a duration rounds to the target.

        5 ms below the half second: the duration still rounds down in a playlist's decimals.
        """
        return self.segment(track) + track.format.timescale * 495 // 1000
