"""The media files of one rendition: what is in memory, what can be had beyond that, until when.

Invariant: what is listed can be had, and for as long after as the draft wants; memory holds no more
than it would for a playlist of `WINDOW`, however far back segments are listed.
Upstream: `rendition`. Downstream: `shelf`; `vault` has what is no longer there. Time is an
argument, in ms. Spec: draft-pantos-hls-rfc8216bis, 6.2.2.
"""

from hotpath.hls.names import init_name, part_name, segment_name
from hotpath.hls.past import Kept, Past
from hotpath.hls.playlist import PARTS_KEPT, WINDOW, Trimmed
from hotpath.hls.shelf import Shelf, StoredFile


def memory_ms(target_duration_s: int) -> int:
    """How far back memory goes."""
    return 2 * WINDOW * target_duration_s * 1000


class Holdings:
    """See the module for the invariant."""

    def __init__(
        self,
        prefix: str,
        content_type: bytes,
        shelf: Shelf,
        *,
        target_duration_s: int,
        window_s: int = 0,
    ) -> None:
        """`window_s`: how far back segments are listed, if that is further than memory goes."""
        self._prefix = prefix
        self._type = content_type
        self._shelf = shelf
        self._parts_ms = PARTS_KEPT * target_duration_s * 1000
        self._memory_ms = memory_ms(target_duration_s)
        self._kept_ms = max(self._memory_ms, 2 * window_s * 1000)
        """A segment can be had for so long, and for its own duration."""
        self._outlives_memory = self._kept_ms > self._memory_ms
        self._chunks: list[bytes] = []
        """Of the open segment."""
        self._open: list[str] = []
        """Files of its parts."""
        self._parts: dict[int, list[str]] = {}
        """msn -> files of the parts that are listed."""
        self._past = Past()
        self._inits: dict[int, int] = {}
        """Number -> bytes."""

    def add_init(self, number: int, data: bytes, now_ms: int) -> None:
        if self._outlives_memory and self._inits:
            earlier = self._prefix + init_name(max(self._inits))
            self._shelf.drop_at(earlier, now_ms + self._memory_ms)
        self._inits[number] = len(data)
        # Kept as long as the programme: any listed segment may need it.
        self._shelf.put(self._prefix + init_name(number), self._file([data], None))

    def add_part(self, msn: int, part: int, listed: str, data: bytes, now_ms: int) -> None:
        """The part was listed by that name."""
        self._chunks.append(data)
        file = self._file([data], now_ms + 2 * self._parts_ms)
        # Its own name too: who knows the numbers need not know what was hinted.
        for name in {listed, part_name(msn, part)}:
            self._shelf.put(self._prefix + name, file)
            self._open.append(self._prefix + name)

    def close_segment(self, msn: int, duration_ms: int, now_ms: int) -> int:
        """The segment is whole, and may be listed; returns its bytes."""
        expires_ms = now_ms + self._kept_ms + duration_ms
        name = self._prefix + segment_name(msn)
        self._shelf.put(name, self._file(self._chunks, expires_ms))
        if self._outlives_memory:
            self._shelf.drop_at(name, now_ms + self._memory_ms + duration_ms)
        size = sum(len(chunk) for chunk in self._chunks)
        self._past.add(msn, size, duration_ms, expires_ms)
        self._parts[msn] = self._open
        self._chunks, self._open = [], []
        return size

    def add_gap(self, msn: int, duration_ms: int, now_ms: int) -> None:
        """The segment cannot be had, though parts of it may have been listed."""
        self._past.add(msn, 0, duration_ms, now_ms)
        self._parts[msn] = self._open
        self._chunks, self._open = [], []

    def trim(self, trimmed: Trimmed, listed_us: int, now_ms: int) -> None:
        """This left the playlist, which is so long now."""
        for msn in trimmed.part_tags:
            for name in self._parts.pop(msn):
                self._shelf.remove_at(name, now_ms + self._parts_ms)
        for msn, expires_ms in self._past.unlist(trimmed.segments, listed_us // 1000, now_ms):
            if not self._outlives_memory:
                self._shelf.remove_at(self._prefix + segment_name(msn), expires_ms)

    def end(self, now_ms: int) -> None:
        """Nothing follows: the parts that are there are listed for as long as memory goes."""
        for names in (*self._parts.values(), self._open):
            for name in names:
                self._shelf.remove_at(name, now_ms + self._memory_ms + self._parts_ms)
        self._parts.clear()
        self._chunks, self._open = [], []

    def segment(self, msn: int, now_ms: int) -> Kept | None:
        """What is known of a segment that is no longer in memory; None: it cannot be had."""
        return self._past.find(msn, now_ms) if self._outlives_memory else None

    def init(self, number: int) -> Kept | None:
        size = self._inits.get(number)
        return None if size is None or not self._outlives_memory else Kept(size, None)

    def file(self, data: bytes, kept: Kept) -> StoredFile:
        """The file that was known to be kept, when it was read."""
        return self._file([data], kept.expires_ms)

    def _file(self, chunks: list[bytes], expires_ms: int | None) -> StoredFile:
        return StoredFile(chunks, self._type, expires_ms)
