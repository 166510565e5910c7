"""One rendition as it is served: its playlist, its media files, its waiting requests.

Invariant: a part can be fetched before any playlist lists it, and everything listed can be
fetched; texts are rendered once per version, however many viewers ask. Upstream: `live`.
Time is an argument, in ms.
"""

from collections.abc import Hashable, Sequence

from hotpath.hls.directives import Skip
from hotpath.hls.listing import Place
from hotpath.hls.playlist import (
    PARTS_KEPT,
    WINDOW,
    MediaPlaylist,
    Trimmed,
    init_name,
    part_name,
    segment_name,
)
from hotpath.hls.reply import AUDIO_TYPE, MEDIA_TYPE, Text
from hotpath.hls.shelf import Shelf, StoredFile
from hotpath.hls.tags import Delta, Report
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
        *,
        target_duration_s: int,
        part_target_ms: int,
    ) -> None:
        self.format = format
        self.playlist = MediaPlaylist(
            prefix,
            target_duration_s=target_duration_s,
            part_target_ms=part_target_ms,
            # The source may be cut anywhere; the ladder's encoder begins each segment with an IDR.
            independent=format.track in RUNGS,
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
        self._shelf = shelf
        self._target_ms = target_duration_s * 1000
        self._content_type = MEDIA_TYPE if format.codec.kind == "video" else AUDIO_TYPE
        self._chunks: list[bytes] = []
        self._part_names: list[str] = []
        """Files of the open segment's parts."""
        self._listed: dict[int, tuple[list[str], int]] = {}
        """msn -> (files of its parts, duration in ms) of the segments listed."""
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

    def add_init(self, format: Format, number: int, data: bytes) -> None:
        self.format = format
        name = self._prefix + init_name(number)
        # Kept as long as the programme: any listed segment may need it.
        self._shelf.put(name, StoredFile((data,), self._content_type, None))

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
        self._chunks.append(data)
        expires = now_ms + 2 * PARTS_KEPT * self._target_ms
        file = StoredFile((data,), self._content_type, expires)
        # Its own name too: who knows the numbers need not know what was hinted.
        for name in {listed, part_name(place.msn, part)}:
            self._shelf.put(self._prefix + name, file)
            self._part_names.append(self._prefix + name)
        self.moved()

    def close_segment(self, msn: int, duration_us: int, now_ms: int) -> None:
        """The open segment is whole.

        Where its last part has just been listed it is listed as a whole with what follows it, a
        part later. That part can be short, and hls.js (1.7) takes a segment that lacks no more
        than 0.2 s for buffered: heard of while the part before is being appended, the last one
        would never be loaded, and playback would stop at its place.
        """
        duration_ms = -(-duration_us // 1000)
        file = StoredFile(
            self._chunks, self._content_type, now_ms + 2 * WINDOW * self._target_ms + duration_ms
        )
        self._shelf.put(self._prefix + segment_name(msn), file)
        if duration_us:
            bits = 8 * sum(len(chunk) for chunk in self._chunks)
            self.peak_bps = max(self.peak_bps, int(bits * US / duration_us * PEAK_HEADROOM))
            self._bits += bits
            self._served_us += duration_us
        self._whole = (msn, duration_us)
        if not (self._last_listed and self.playlist.has_segments):
            self._list_whole(now_ms)

    def add_gap(self, place: Place, duration_us: int, now_ms: int) -> None:
        self._list_whole(now_ms)
        trimmed = self.playlist.add_gap(place, duration_us)
        self._closed(place.msn, -(-duration_us // 1000), trimmed, now_ms)

    def end(self, now_ms: int, *, final: bool) -> None:
        """Nothing follows; `final`: nor from anywhere else."""
        self._list_whole(now_ms)
        if final:
            self.playlist.end()
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
        rendered = self.playlist.rendered(reports, delta=delta)
        text = Text(rendered.head, rendered.older, rendered.tail)
        self._texts[_kind(delta)] = (key, text)
        return text

    def _list_whole(self, now_ms: int) -> None:
        if self._whole is None:
            return
        (msn, duration_us), self._whole = self._whole, None
        self._last_listed = False
        trimmed = self.playlist.close_segment(msn, duration_us)
        self._closed(msn, -(-duration_us // 1000), trimmed, now_ms)

    def _closed(self, msn: int, duration_ms: int, trimmed: Trimmed, now_ms: int) -> None:
        self._listed[msn] = (self._part_names, duration_ms)
        self._chunks, self._part_names = [], []
        for old in trimmed.part_tags:
            for name in self._listed[old][0]:
                self._shelf.remove_at(name, now_ms + PARTS_KEPT * self._target_ms)
        listed_ms = -(-self.playlist.duration_us // 1000)
        for old in trimmed.segments:
            # 6.2.2: its own duration and that of the longest playlist that listed it.
            own_ms = self._listed.pop(old)[1]
            deadline = now_ms + 2 * own_ms + listed_ms
            self._shelf.remove_at(self._prefix + segment_name(old), deadline)
        self.moved()


def _kind(delta: Delta | None) -> Skip:
    """One text of each kind is kept."""
    if delta is None:
        return Skip.NOTHING
    return Skip.SEGMENTS if delta.dates is None else Skip.DATES
