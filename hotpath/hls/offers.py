"""Which of a programme's renditions players are offered, and since when there is enough to play.

Invariant: what every player can count on, the source's picture and first sound, is offered from its
first segment on; further sounds and the ladder come and go beside it and hold it back by a bounded
time, or not at all. Pure. Upstream: `live`. Spec: draft-pantos-hls-rfc8216bis, 6.2.4.
"""

from collections.abc import Mapping

from hotpath.hls.multivariant import Stream, multivariant
from hotpath.hls.rendition import Rendition
from hotpath.hls.values import US
from hotpath.media.unit import AUDIO, FURTHER_AUDIO, VIDEO
from infra.renditions import RUNGS, within

SOURCE = (VIDEO, AUDIO)
LADDER_LATE = 3
"""Segments by which a ladder rendition may trail the source and still be offered."""
FURTHER_AUDIO_LATE = 10
"""The same for further sounds, which stop for a moment rather than for good."""
FURTHER_AUDIO_WAIT = 2
"""Target durations of the source for which players wait for the first segment of these."""


class Offers:
    """The offer of one incarnation; see the module for the invariant."""

    def __init__(
        self, renditions: Mapping[str, Rendition], *, target_duration_s: int, audio_only: bool
    ) -> None:
        """`renditions`: all that there are, by name. `audio_only`: offer the sound alone, too."""
        self._renditions = renditions
        self._wait_us = FURTHER_AUDIO_WAIT * target_duration_s * US
        self._audio_only = audio_only
        self._newest: dict[str, int] = {}
        """Rendition -> its newest segment that is whole."""

    def segment(self, name: str, msn: int) -> None:
        """A whole segment of the rendition is there."""
        self._newest[name] = msn

    def complete(self) -> bool:
        """Whether all is there that a player should find, which reads the list of them once."""
        playlists = {name: rendition.playlist for name, rendition in self._renditions.items()}
        source = [playlists[name] for name in SOURCE if name in playlists]
        waited_for = source or list(playlists.values())
        if not all(playlist.has_segments for playlist in waited_for):
            return False
        further = (playlists[name] for name in FURTHER_AUDIO if name in playlists)
        waited = all(playlist.duration_us >= self._wait_us for playlist in waited_for)
        return waited or all(playlist.has_segments for playlist in further)

    def renditions(self) -> list[Rendition]:
        """Those that are offered now."""
        return [r for name, r in sorted(self._renditions.items()) if self._offers(name, r)]

    def multivariant(self, *, captions: str | None = None, cap: str | None = None) -> str:
        """The multivariant playlist now. `captions`: with those in this language, where known."""
        gone = frozenset[str]() if cap is None else self.beyond(cap)
        offered = (one for one in self.renditions() if one.format.track not in gone)
        streams = [_described(rendition) for rendition in offered]
        videos = [stream for stream in streams if stream.format.codec.kind == "video"]
        sounds = [stream for stream in streams if stream.format.codec.kind == "audio"]
        return multivariant(videos, sounds, audio_only=self._audio_only, captions=captions)

    def beyond(self, cap: str) -> frozenset[str]:
        """Which renditions a viewer with this cap may not have, as long as it has another."""
        heights = {
            rendition.format.track: rendition.format.height
            for rendition in self.renditions()
            if rendition.format.codec.kind == "video"
        }
        return frozenset(heights) - within(heights, cap)

    def _offers(self, name: str, rendition: Rendition) -> bool:
        """Whether a player that chooses the rendition now finds media at the live edge.

        What is beside the source counts from its first part on: players read this list once, and
        those that were there early would never see a ladder that begins a moment after it.
        """
        if name in SOURCE:
            return rendition.playlist.has_segments
        edge = rendition.playlist.edge
        newest = self._newest.get(name, edge.last_msn if edge.open_parts else None)
        lead = self._renditions.get(VIDEO, rendition).playlist.edge.last_msn
        late = FURTHER_AUDIO_LATE if name in FURTHER_AUDIO else LADDER_LATE
        return newest is not None and newest >= lead - late


def _described(rendition: Rendition) -> Stream:
    """Until it was measured, a rung is taken to need what it may."""
    name = rendition.format.track
    assumed = RUNGS[name].bitrate if name in RUNGS else 0
    peak_bps, average_bps = rendition.peak_bps or assumed, rendition.average_bps or assumed
    return Stream(rendition.format, rendition.playlist_name, peak_bps, average_bps)
