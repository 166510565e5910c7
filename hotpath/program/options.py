"""What a programme is told before it begins: how it behaves, and where it starts counting."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hotpath.media.unit import Item

SECOND = 1_000_000_000

Publish = Callable[[Iterable[Item]], None]


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """Fixed for a programme's life, but for the reconnect window."""

    part_target_ms: int = 215
    target_duration_s: int = 2
    reconnect_window_s: int = 60
    audio_wait_ns: int = 1 * SECOND
    """How long a first keyframe waits for audio to be described."""
    video_wait_ns: int = 2 * SECOND
    """How long audio waits for a first keyframe before the programme begins without video."""
    quiet_ns: int = SECOND * 12 // 10
    """A publisher silent for so long gives way to the slate, and is back with its next keyframe.
    A little more than what a standby waits for, so that it has the first turn."""
    stalled_ns: int = 10 * SECOND
    """A publisher silent for so long is disconnected."""
    report_ns: int = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where an incarnation starts counting; durable before it publishes anything."""

    msn: int
    discontinuity_seq: int
    epoch_ns: int
