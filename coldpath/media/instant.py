"""Playlists of an instant clip: the whole segments that show it, and where a player begins; pure.

Invariant: nothing but `EXT-X-START` tells these playlists from those of a recording that holds no
more than the clip's segments.

Upstream: `window.within`. Downstream: the clip function stores the texts.
Spec: RFC 8216bis 4.4.2.2.
"""

from fractions import Fraction

from coldpath.media import vod
from coldpath.media.recording import Recording
from coldpath.media.window import NS, Window, began_ns


def offset(part: Recording, window: Window) -> Fraction:
    """Seconds from the start of the first segment to the start of the clip."""
    began = began_ns(part)
    return Fraction(0) if began is None else max(Fraction(0), Fraction(window.start_ns - began, NS))


def playlists(part: Recording, content: str, window: Window) -> dict[str, str]:
    """File name to text, the multivariant playlist last."""
    begins = offset(part, window)
    return {name: _starting(text, begins) for name, text in vod.playlists(part, content).items()}


def _starting(playlist: str, begins: Fraction) -> str:
    if not begins:
        return playlist
    head, rest = playlist.split("\n", 1)
    return f"{head}\n#EXT-X-START:TIME-OFFSET={float(begins):.3f},PRECISE=YES\n{rest}"
