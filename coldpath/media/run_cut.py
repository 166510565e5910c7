"""The access units that a cut takes from one run of a recording, placed on the clip's timeline.

Invariant: see `cut`. Units come in decode order, picture and sound interleaved; the first picture
is at `at`, sound keeps its distance to it.

Upstream: segments of the run. Downstream: `cut` writes the units into the file.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Literal, TypeAlias

from av.codec.context import CodecContext
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from coldpath.errors import ColdPathError, DamagedMedia
from coldpath.media import avcc, encoding
from coldpath.media.cut_check import Ends
from coldpath.media.cut_ends import EndsSeen, beside
from coldpath.media.encoding import Settings
from coldpath.media.gops import Way, groups, is_open, share
from coldpath.media.window import NS, Window

AnyPacket: TypeAlias = "Packet[Stream]"  # generic in its type stub only
ROUNDING_NS = 1_000_000
"""Times of clients are milliseconds; the picture they mean may begin a little before."""
_IN_CONFIG = frozenset({avcc.SPS, avcc.PPS, avcc.DELIMITER})


class NotJoinable(ColdPathError):
    """The recording cannot be copied in part here; everything has to be encoded again."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An access unit of the clip; times in ticks of its rendition."""

    kind: Literal["video", "audio"]
    pts: int
    dts: int
    duration: int
    key: bool
    data: bytes
    at: Fraction
    """Decode time in seconds."""


@dataclass(slots=True)
class Tally:
    """What the clip is made of."""

    copied: int = 0
    encoded: int = 0
    audio: int = 0
    heard: int = 0
    """Where the sound so far ends, ticks."""


class Source:
    """One rendition of a run, opened, with its place on the wall clock."""

    def __init__(
        self, packets: Iterator[AnyPacket], codec: CodecContext, timescale: int, shown_ns: int
    ) -> None:
        """`shown_ns`: when the first unit of `packets` was shown."""
        first = next(packets, None)
        self.packets = packets if first is None else chain([first], packets)
        self.codec = codec
        self.timescale = timescale
        self._origin = 0 if first is None else pts_of(first)
        self._shown_ns = shown_ns

    def ticks(self, window: Window) -> tuple[int, int]:
        """The window in presentation times."""
        starts, ends = (
            self._origin - (self._shown_ns - wall + ROUNDING_NS) * self.timescale // NS
            for wall in (window.start_ns, window.end_ns)
        )
        return starts, ends


class RunCut:
    """One run. `joined`: groups of pictures are copied where that is possible."""

    def __init__(
        self,
        video: Source | None,
        audio: Source | None,
        window: Window,
        *,
        settings: Settings | None,
        joined: bool,
        at: Fraction,
        tally: Tally,
        ends: Ends,
    ) -> None:
        self._video = video
        self._audio = audio
        self._window = window
        self._settings = settings
        self._joined = joined
        self._tally = tally
        self._ends = ends
        self._start = at
        self.end = at
        """Where the next run begins; grows while units are taken."""
        self._origin: Fraction | None = None
        """What becomes `at`, seconds of the programme's clock."""

    def units(self) -> Iterator[Placed]:
        video: Iterator[Placed] = iter(())
        if self._video is not None and self._settings is not None:
            taken = self._copied_or_encoded if self._joined else self._encoded
            video = taken(self._video, self._settings)
            # The first picture says where the clip begins, and with that where its sound does.
            first = next(video, None)
            if first is None:
                return
            video = chain([first], video)
        audio = iter(()) if self._audio is None else self._sound(self._audio)
        yield from heapq.merge(video, audio, key=lambda unit: unit.at)

    # -- pictures ----------------------------------------------------------------------------

    def _copied_or_encoded(self, video: Source, settings: Settings) -> Iterator[Placed]:
        lo, hi = video.ticks(self._window)
        kept: list[AnyPacket] = []
        last = 0
        for group in groups(video.packets):
            times = [pts_of(packet) for packet in group]
            took = share(times, lo, hi)
            if took.way is Way.NOTHING:
                if times[0] >= hi:
                    break
                continue
            if is_open(times) or not avcc.is_idr(bytes(group[0])):
                raise NotJoinable("a group of pictures refers to the one before it")
            shown = [pts for pts in times if lo <= pts < hi]
            first, last, kept = min(shown), max(shown), group
            if self._origin is None:
                self._begin(first, video)
            if self._ends.first is None:
                self._ends.first, self._ends.beside_first = beside(_shown(video, group), first)
            if took.way is Way.COPY:
                yield from self._copies(video, group[: took.count])
            else:
                yield from self._joins(video, settings, group, lo, hi)
        if kept:
            self._ends.last, self._ends.beside_last = beside(_shown(video, kept), last)
            self._ends.last_at = self._place(last, video) * Fraction(1, video.timescale)

    def _copies(self, video: Source, packets: Iterable[AnyPacket]) -> Iterator[Placed]:
        for packet in packets:
            self._tally.copied += 1
            pts, dts = self._place(pts_of(packet), video), self._place(dts_of(packet), video)
            yield self._picture(video, packet, bytes(packet), (pts, dts, packet.duration or 0))

    def _joins(
        self, video: Source, settings: Settings, group: list[AnyPacket], lo: int, hi: int
    ) -> Iterator[Placed]:
        """The wanted pictures of a group, encoded; decode times keep the source's distance."""
        delay = pts_of(group[0]) - dts_of(group[0])
        lasts = {self._place(pts_of(p), video): p.duration or 0 for p in group}
        decoder = encoding.decoder(_video_codec(video))
        shown = (
            (self._place(picture.pts, video), picture)
            for picture in encoding.pictures(decoder, group)
            if picture.pts is not None and lo <= picture.pts < hi
        )
        found = 0
        for packet in encoding.encoded(settings, shown):
            found += 1
            self._tally.encoded += 1
            pts = pts_of(packet)
            nals = (n for n in avcc.from_annex_b(bytes(packet)) if avcc.kind(n) not in _IN_CONFIG)
            data = avcc.length_prefixed(nals)
            yield self._picture(video, packet, data, (pts, pts - delay, lasts[pts]))
        if found != sum(lo <= pts_of(p) < hi for p in group):
            raise DamagedMedia(f"of a group of {len(group)} pictures only {found} decode")

    def _encoded(self, video: Source, settings: Settings) -> Iterator[Placed]:
        lo, hi = video.ticks(self._window)
        read: dict[int, int] = {}
        lasts: dict[int, int] = {}
        decoder = encoding.decoder(_video_codec(video))
        needed = self._needed(video, hi, read)
        ends = EndsSeen(self._ends)

        def shown() -> Iterator[tuple[int, VideoFrame]]:
            for picture in encoding.pictures(decoder, needed):
                if picture.pts is None:
                    continue
                wanted = lo <= picture.pts < hi
                ends.receive(picture, wanted=wanted)
                if not wanted:
                    continue
                if self._origin is None:
                    self._begin(picture.pts, video)
                pts = self._place(picture.pts, video)
                lasts[pts] = read.pop(picture.pts, 0)
                self._ends.last_at = Fraction(pts, video.timescale)
                yield pts, picture

        for packet in encoding.encoded(settings, shown()):
            self._tally.encoded += 1
            pts = pts_of(packet)
            yield self._picture(video, packet, bytes(packet), (pts, pts, lasts.pop(pts, 0)))
        ends.finish()

    def _needed(self, video: Source, hi: int, lasts: dict[int, int]) -> Iterator[AnyPacket]:
        """Packets up to the first group of which nothing is shown before `hi`, and their
        durations."""
        for group in groups(video.packets):
            if min(pts_of(packet) for packet in group) >= hi:
                return
            lasts |= {pts_of(packet): packet.duration or 0 for packet in group}
            yield from group

    def _picture(
        self, video: Source, packet: AnyPacket, data: bytes, times: tuple[int, int, int]
    ) -> Placed:
        """`times`: pts, dts and duration on the clip's timeline."""
        pts, dts, lasts = times
        self.end = max(self.end, Fraction(pts + lasts, video.timescale))
        at = Fraction(dts, video.timescale)
        return Placed("video", pts, dts, lasts, packet.is_keyframe, data, at)

    # -- sound -------------------------------------------------------------------------------

    def _sound(self, audio: Source) -> Iterator[Placed]:
        lo, hi = audio.ticks(self._window)
        if self._origin is None:
            self._begin(lo, audio)
        else:
            lo = int(self._origin * audio.timescale)
        for packet in audio.packets:
            pts, lasts = pts_of(packet), packet.duration or 0
            if pts >= hi:
                return
            placed = self._place(pts, audio)
            if pts + lasts <= lo or (self._tally.audio and placed < self._tally.heard):
                continue
            self._tally.audio += 1
            self._tally.heard = placed + lasts
            if self._video is None:
                self.end = max(self.end, Fraction(placed + lasts, audio.timescale))
            at = Fraction(placed, audio.timescale)
            yield Placed("audio", placed, placed, lasts, True, bytes(packet), at)

    # -- time --------------------------------------------------------------------------------

    def _begin(self, pts: int, source: Source) -> None:
        self._origin = Fraction(pts, source.timescale)

    def _place(self, ticks: int, source: Source) -> int:
        """On the clip's timeline."""
        return ticks + round((self._start - (self._origin or 0)) * source.timescale)


def pts_of(packet: AnyPacket) -> int:
    if packet.pts is None:
        raise DamagedMedia("an access unit has no timestamp")
    return packet.pts


def dts_of(packet: AnyPacket) -> int:
    if packet.dts is None:
        raise DamagedMedia("an access unit has no decode time")
    return packet.dts


def _video_codec(video: Source) -> VideoCodecContext:
    if not isinstance(video.codec, VideoCodecContext):
        raise DamagedMedia("the video rendition holds no video")
    return video.codec


def _shown(video: Source, group: list[AnyPacket]) -> Iterator[VideoFrame]:
    return encoding.pictures(encoding.decoder(_video_codec(video)), group)
