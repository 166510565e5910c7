"""Live captions: what was heard in a programme, as a WebVTT rendition that grows behind the others.

Invariant: segments are those of the source, listed in order and once, each with what is known then:
when all of it was heard, or `WAIT_MS` after its end, so that the playlist goes on when nobody
listens. A listed segment never changes (6.2.1); words that come too late are counted and left out.
Memory is bounded, whatever is heard.

It is no part of the low-latency presentation, whose renditions are within a part of each other
(appendix B.1), but of one of its own beside it, `WITH_CAPTIONS`. Upstream: `live` tells what the
source has, the node what the cold path heard. Pure: Unix ms are an argument.
Spec: draft-pantos-hls-rfc8216bis 3.1.4 and 4.4.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from hotpath.hls import tags
from hotpath.hls.listing import Place
from hotpath.hls.playlist import WINDOW
from hotpath.hls.values import US
from infra.events.captions import HeardWindow
from infra.webvtt import Cue, webvtt

FOLDER = "captions"
WAIT_MS = 25_000
"""A window of sound, the time that it takes to hear it, and some patience."""
WINDOWS = 64
"""Most that are kept of what was heard ahead of what is listed."""
LONGEST_LIST_S = 3600
"""Captions go back no further than this, however far the picture does."""
_MS = 1_000_000
"""In nanoseconds."""


@dataclass(frozen=True, slots=True)
class Span:
    """A whole segment of the source."""

    place: Place
    start_us: int
    """Media time at which it begins."""
    duration_us: int

    @property
    def from_ms(self) -> int:
        """Unix ms, as EXT-X-PROGRAM-DATE-TIME says."""
        return self.place.pdt_ns // _MS

    @property
    def until_ms(self) -> int:
        return self.from_ms + self.duration_us // 1000

    @property
    def epoch_ms(self) -> int:
        """Unix ms of media time 0."""
        return self.from_ms - self.start_us // 1000


@dataclass(frozen=True, slots=True)
class _Listed:
    span: Span
    name: str
    discontinuities: int

    @property
    def lines(self) -> str:
        begin = tags.begin(self.discontinuities, "", self.span.place.pdt_ns)
        return begin + tags.end(self.name, self.span.duration_us, gap=False)


@dataclass(frozen=True, slots=True)
class CaptionSegment:
    """A file to be served, and what leaves when it comes."""

    name: str
    """Below the programme's URL."""
    text: str
    duration_us: int
    gone: tuple[str, ...]
    """Names of files that are no longer listed."""


class CaptionList:
    """Of one incarnation; see the module for the invariant."""

    def __init__(self, prefix: str, *, target_duration_s: int, window_s: int = 0) -> None:
        """`window_s`: how far back segments are listed, if that is further than others do."""
        self._prefix = f"{prefix}{FOLDER}/"
        self._head = tags.plain_header(target_duration_s)
        self._window_us = min(max(WINDOW * target_duration_s, window_s), LONGEST_LIST_S) * US
        self._waiting: deque[Span] = deque()
        self._listed: deque[_Listed] = deque()
        self._listed_us = 0
        self._newest: Place | None = None
        """Listed last."""
        self._added = -1
        self._heard: dict[int, HeardWindow] = {}
        """By where it begins."""
        self._told_ms = 0
        """Everything before it is listed."""
        self.language = ""
        self.ended = False

    @property
    def has_segments(self) -> bool:
        return bool(self._listed)

    def add(self, span: Span) -> None:
        """The source has this segment."""
        if span.place.msn > self._added:
            self._added = span.place.msn
            self._waiting.append(span)

    def hear(self, window: HeardWindow) -> int:
        """What was said in a while; once more is as good as once. Returns how many cues begin in
        what is listed already."""
        self.language = self.language or window.language
        late = sum(cue.start_ms < self._told_ms for cue in window.cues)
        if window.until_ms > self._told_ms:
            self._heard[window.from_ms] = window
        while len(self._heard) > WINDOWS:
            del self._heard[min(self._heard)]
        return late

    def due(self, now_ms: int) -> Iterator[CaptionSegment]:
        """List what can be listed; each before the next is asked for."""
        while self._waiting and not self.ended:
            span = self._waiting[0]
            # The first is listed at once: a playlist without any is none.
            patient = self._newest is not None and now_ms < span.until_ms + WAIT_MS
            if patient and not self._covers(span.from_ms, span.until_ms):
                return
            self._waiting.popleft()
            yield self._list(span)

    def end(self, now_ms: int, *, final: bool) -> Iterator[CaptionSegment]:
        """Nothing follows: what is still waited for will not be."""
        yield from self.due(now_ms + 2 * WAIT_MS)
        self.ended = final

    def text(self) -> str:
        """The playlist now."""
        if not self._listed:
            return self._head
        first = self._listed[0]
        place = first.span.place
        head = tags.sequence(place.msn, place.discontinuity_seq - first.discontinuities)
        lines = "".join(listed.lines for listed in self._listed)
        return self._head + head + lines + ("#EXT-X-ENDLIST\n" if self.ended else "")

    def _covers(self, from_ms: int, until_ms: int) -> bool:
        for window in sorted(self._heard.values(), key=lambda window: window.from_ms):
            if window.from_ms <= from_ms:
                from_ms = max(from_ms, window.until_ms)
        return from_ms >= until_ms

    def _list(self, span: Span) -> CaptionSegment:
        place, previous = span.place, self._newest
        steps = 0
        if previous is not None:
            steps = max(place.discontinuity_seq - previous.discontinuity_seq, 0)
        listed = _Listed(span, f"{self._prefix}s{place.msn}.vtt", steps)
        text = webvtt(self._cues(span), media_ms=0)
        self._newest = place
        self._listed.append(listed)
        self._listed_us += span.duration_us
        self._told_ms = max(self._told_ms, span.until_ms)
        self._heard = {at: w for at, w in self._heard.items() if w.until_ms > self._told_ms}
        return CaptionSegment(listed.name, text, span.duration_us, tuple(self._trim()))

    def _cues(self, span: Span) -> list[Cue]:
        """What is on the screen in this time, in media time: a cue that goes on is in the next
        segment, too, and the same there, so that players know it again."""
        found = sorted(
            (cue.start_ms, cue.end_ms, cue.text)
            for window in self._heard.values()
            for cue in window.cues
            if cue.start_ms < span.until_ms and cue.end_ms > span.from_ms
        )
        epoch = span.epoch_ms
        return [Cue(max(start - epoch, 0), end - epoch, _lines(text)) for start, end, text in found]

    def _trim(self) -> Iterator[str]:
        while self._listed_us - self._listed[0].span.duration_us >= self._window_us:
            gone = self._listed.popleft()
            self._listed_us -= gone.span.duration_us
            yield gone.name


def _lines(text: str) -> tuple[str, ...]:
    """An empty line would end the cue."""
    return tuple(line for line in text.split("\n") if line.strip())
