"""One rendition as it is served: its playlist, its media files, its waiting requests.

Invariant: a part can be fetched before any playlist lists it, and everything listed can be
fetched; texts are rendered once per version, however many viewers ask. Upstream: `live`.
Time is an argument, in ms.
"""

from collections.abc import Callable, Hashable, Sequence

from hotpath.hls.directives import Skip
from hotpath.hls.holdings import Holdings
from hotpath.hls.listing import Place
from hotpath.hls.playlist import MediaPlaylist, Revision, Trimmed
from hotpath.hls.reply import AUDIO_TYPE, MEDIA_TYPE
from hotpath.hls.shelf import Shelf
from hotpath.hls.tags import Delta, Report
from hotpath.hls.text import Text
from hotpath.hls.values import US
from hotpath.hls.waiting import Gate, WaitingRoom
from hotpath.media.unit import Format
from infra.renditions import RUNGS

PEAK_HEADROOM = 1.25
"""BANDWIDTH is an upper bound of what will come, estimated from what has."""


class Rendition:
    """One rendition; see the module for the invariant."""

    def __init__(
        self,
        format: Format,
        prefix: str,
        shelf: Shelf,
        room: WaitingRoom,
        revision: Revision,
        *,
        begins: Callable[[int, int], None],
        target_duration_s: int,
        part_target_ms: int,
        window_s: int = 0,
    ) -> None:
        """`begins`: called with the number of the segment that the playlist begins with since it
        dropped others, and the time. `window_s`: how far back segments are listed, if that is
        further than others do."""
        self.format = format
        self._begins = begins
        self.playlist = MediaPlaylist(
            prefix,
            target_duration_s=target_duration_s,
            part_target_ms=part_target_ms,
            # The source may be cut anywhere; the ladder's encoder begins each segment with an IDR.
            independent=format.track in RUNGS,
            window_s=window_s,
            revision=revision,
        )
        self.holdings = Holdings(
            prefix,
            MEDIA_TYPE if format.codec.kind == "video" else AUDIO_TYPE,
            shelf,
            target_duration_s=target_duration_s,
            window_s=window_s,
        )
        self.playlist_name = f"{format.track}.m3u8"
        self.hint_name: str | None = None
        """The one file that may be asked for before it is there."""
        self.edge_gate: Gate[tuple[int, int | None]] = Gate(room)
        """Playlist requests, by (msn, part or None)."""
        self.part_gate: Gate[str] = Gate(room)
        """Requests for the hinted part, by its name."""
        self.peak_bps = 0
        self._prefix = prefix
        self._last_listed = False
        """The open segment's last part is listed."""
        self._whole: tuple[int, int] | None = None
        """msn and duration of a segment that is whole, and not yet listed as such."""
        self._bits = 0
        self._served_us = 0
        self._texts: dict[Skip, tuple[Hashable, Text]] = {}

    @property
    def average_bps(self) -> int:
        return self._bits * US // self._served_us if self._served_us else self.peak_bps

    @property
    def report(self) -> Report:
        edge = self.playlist.edge
        if edge.open_parts:
            return Report(self.playlist_name, edge.last_msn + 1, edge.open_parts - 1)
        part = edge.last_parts - 1 if edge.last_parts else None
        return Report(self.playlist_name, edge.last_msn, part)

    def add_init(self, format: Format, number: int, data: bytes, now_ms: int) -> None:
        self.format = format
        self.holdings.add_init(number, data, now_ms)

    def add_part(
        self,
        place: Place,
        part: int,
        data: bytes,
        *,
        duration_us: int,
        independent: bool,
        last: bool,
        now_ms: int,
    ) -> None:
        self._list_whole(now_ms)
        listed = self.playlist.add_part(
            place, part, duration_us, independent=independent, last=last
        )
        self._last_listed = last
        self.holdings.add_part(place.msn, part, listed, data, now_ms)
        trimmed = self.playlist.trim_parts()
        if trimmed.part_tags:
            self.holdings.trim(trimmed, self.playlist.duration_us, now_ms)
        self.moved()

    def close_segment(self, msn: int, duration_us: int, now_ms: int) -> None:
        """The open segment is whole.

        Where its last part has just been listed it is listed as a whole with what follows it, a
        part later. That part can be short, and hls.js (1.7) takes a segment that lacks no more
        than 0.2 s for buffered: heard of while the part before is being appended, the last one
        would never be loaded, and playback would stop at its place.
        """
        size = self.holdings.close_segment(msn, -(-duration_us // 1000), now_ms)
        if duration_us:
            bits = 8 * size
            self.peak_bps = max(self.peak_bps, int(bits * US / duration_us * PEAK_HEADROOM))
            self._bits += bits
            self._served_us += duration_us
        self._whole = (msn, duration_us)
        if not (self._last_listed and self.playlist.has_segments):
            self._list_whole(now_ms)

    def add_gap(self, place: Place, duration_us: int, now_ms: int) -> None:
        self._list_whole(now_ms)
        trimmed = self.playlist.add_gap(place, duration_us)
        self.holdings.add_gap(place.msn, -(-duration_us // 1000), now_ms)
        self._trim(trimmed, now_ms)

    def begin_at(self, msn: int, now_ms: int) -> None:
        """List nothing from before this segment."""
        trimmed = self.playlist.begin_at(msn)
        if trimmed.segments:
            self.holdings.trim(trimmed, self.playlist.duration_us, now_ms)

    def end(self, now_ms: int, *, final: bool) -> None:
        """Nothing follows; `final`: nor from anywhere else."""
        self._list_whole(now_ms)
        if final:
            self.playlist.end()
        self.holdings.end(now_ms)
        self.moved()

    def moved(self) -> None:
        """Let everyone go whose position has been reached."""
        edge, hint = self.playlist.edge, self.playlist.hint
        self.hint_name = None if hint is None else self._prefix + hint
        self.part_gate.release(lambda name: name != self.hint_name)
        self.edge_gate.release(lambda key: edge.ended or edge.reached(*key))

    def text(self, siblings: Sequence["Rendition"], delta: Delta | None) -> Text:
        """The playlist now; rendered when this one or a sibling has moved since the last time."""
        versions = [sibling.playlist.version for sibling in siblings]
        key = (self.playlist.version, *versions, delta)
        cached = self._texts.get(_kind(delta))
        if cached is not None and cached[0] == key:
            return cached[1]
        reports = [sibling.report for sibling in siblings]
        text = self.playlist.text(reports, delta=delta)
        self._texts[_kind(delta)] = (key, text)
        return text

    def _list_whole(self, now_ms: int) -> None:
        if self._whole is None:
            return
        (msn, duration_us), self._whole = self._whole, None
        self._last_listed = False
        self._trim(self.playlist.close_segment(msn, duration_us), now_ms)

    def _trim(self, trimmed: Trimmed, now_ms: int) -> None:
        self.holdings.trim(trimmed, self.playlist.duration_us, now_ms)
        if trimmed.segments:
            self._begins(trimmed.segments[-1] + 1, now_ms)
        self.moved()


def _kind(delta: Delta | None) -> Skip:
    """One text of each kind is kept."""
    if delta is None:
        return Skip.NOTHING
    return Skip.SEGMENTS if delta.dates is None else Skip.DATES
