"""WebVTT files out of cues; pure.

Invariant: no text can end a cue early or be taken for markup. Upstream: cues of a recording
(`coldpath.media`) and of a live programme (`hotpath.hls.captions`). Spec: W3C WebVTT, and RFC 8216
3.5 for what HLS adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CONTENT_TYPE = "text/vtt"
_TICKS_PER_MS = 90
_WRAP = 2**33
"""MPEG-2 timestamps have 33 bits."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown at once."""

    from_ms: int
    to_ms: int
    lines: tuple[str, ...]


def webvtt(cues: Sequence[Cue], *, media_ms: int | None = None) -> str:
    """The file. `media_ms`: the media timestamp at which its time is 0."""
    head = "WEBVTT\n"
    if media_ms is not None:
        ticks = media_ms * _TICKS_PER_MS % _WRAP
        head += f"X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{ticks}\n"
    blocks = [
        f"{_clock(cue.from_ms)} --> {_clock(cue.to_ms)}\n"
        + "".join(f"{_escaped(line)}\n" for line in cue.lines)
        for cue in cues
    ]
    return "\n".join([head, *blocks])


def _escaped(line: str) -> str:
    # "-->" cannot stand in a cue, and an escaped ">" ends that.
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
