"""An incarnation's captions as viewers find them: two playlists, and files beside the media.

Invariant: a file is there before the playlist lists it, and after that as long as a segment's media
would be that is listed as far back.
Upstream: `live`, and the node with what was heard. Downstream: `captions` decides, `shelf` holds.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Counter

from hotpath.hls.captions import CaptionList, CaptionSegment, Span
from hotpath.hls.offers import Offers
from hotpath.hls.rendition import Rendition
from hotpath.hls.shelf import Shelf, StoredFile
from hotpath.hls.text import Text
from hotpath.media.unit import AUDIO, VIDEO
from infra.captions_group import PLAYLIST, WITH_CAPTIONS
from infra.events.captions import HeardWindow
from infra.webvtt import CONTENT_TYPE

_LATE = Counter(
    "livepath_hls_late_cues", "Cues heard when their segment of the captions was listed already."
)


class Captioning:
    """See the module for the invariant."""

    def __init__(
        self,
        captions: CaptionList,
        renditions: Mapping[str, Rendition],
        offers: Offers,
        shelf: Shelf,
        *,
        kept_s: int,
        clock: Callable[[], int],
        clock_s: Callable[[], int],
    ) -> None:
        """`kept_s`: for so long a file stays after it was listed."""
        self._captions = captions
        self._renditions = renditions
        self._offers = offers
        self._shelf = shelf
        self._kept_ms = kept_s * 1000
        self._clock = clock
        self._clock_s = clock_s
        self._multivariant: dict[str | None, tuple[str, Text]] = {}
        """By cap."""
        self._playlist: Text | None = None

    def segment(self, rendition: Rendition, start_us: int, duration_us: int) -> None:
        """A rendition has one more segment, whole or not; captions go along with the source's."""
        place = rendition.playlist.newest
        lead = VIDEO if VIDEO in self._renditions else AUDIO
        if place is not None and rendition.format.track == lead:
            self._captions.add(Span(place, start_us, duration_us))
            self._list_due()

    def hear(self, window: HeardWindow) -> None:
        """What was said in a while of this incarnation."""
        _LATE.inc(self._captions.hear(window))
        self._list_due()

    def end(self, *, final: bool) -> None:
        """Nothing follows."""
        self._put(self._captions.end(self._clock_s() * 1000, final=final))
        self._playlist = None

    def find(self, name: str, cap: str | None = None) -> Text | None:
        """One of the two playlists, once there is something to play."""
        if name == WITH_CAPTIONS:
            language = self._captions.language
            return self._kept(cap, self._offers.multivariant(captions=language, cap=cap))
        if name != PLAYLIST or not self._captions.has_segments:
            return None
        if self._playlist is None:
            self._playlist = Text(self._captions.text())
        return self._playlist

    def _kept(self, cap: str | None, multivariant: str) -> Text:
        """Compressed once for all who ask while it says the same."""
        known = self._multivariant.get(cap)
        if known is None or known[0] != multivariant:
            known = self._multivariant[cap] = multivariant, Text(multivariant)
        return known[1]

    def _list_due(self) -> None:
        self._put(self._captions.due(self._clock_s() * 1000))

    def _put(self, segments: Iterable[CaptionSegment]) -> None:
        now_ms = self._clock()
        for segment in segments:
            until_ms = now_ms + self._kept_ms + segment.duration_us // 1000
            file = StoredFile([segment.text.encode()], CONTENT_TYPE.encode(), until_ms)
            self._shelf.put(segment.name, file)
            for name in segment.gone:
                self._shelf.remove_at(name, now_ms + self._kept_ms)
            self._playlist = None
