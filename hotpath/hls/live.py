"""One programme's playlists and media, fed by the packager, read by viewers.

Invariant: what a viewer gets depends on the published state alone, and no viewer makes the
packager wait. Lives on one event loop.

Upstream: `packager`. Downstream: `origin`, which has checked access already; `lists` answers for
the playlists, `files` for the media. Spec: draft-pantos-hls-rfc8216bis, 6.2.
"""

import time
from collections.abc import Callable

from hotpath.hls.answers import Answer
from hotpath.hls.caps import multivariant_under, rendition_of
from hotpath.hls.captioning import Captioning
from hotpath.hls.captions import LONGEST_LIST_S, CaptionList
from hotpath.hls.date_set import DVR_LIMIT, LIMIT, DateRangeSet
from hotpath.hls.daterange import DateRange, DateRangeError
from hotpath.hls.events import GapSegment, Incomplete, PartReady, SegmentReady
from hotpath.hls.files import Files
from hotpath.hls.holdings import memory_ms
from hotpath.hls.listing import Place
from hotpath.hls.lists import BLOCK_LIMIT, Lists
from hotpath.hls.offers import Offers
from hotpath.hls.playlist import WINDOW, Revision
from hotpath.hls.rendition import Rendition
from hotpath.hls.replay import Replay
from hotpath.hls.shelf import Shelf
from hotpath.hls.tags import SKIP_UNTIL
from hotpath.hls.vault import Vault
from hotpath.hls.waiting import Outcome, WaitingRoom
from hotpath.media.unit import Format
from infra.events.captions import HeardWindow
from infra.keys import ProgramKey


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def unix_s() -> int:
    return int(time.time())


def microseconds(ticks: int, timescale: int) -> int:
    return ticks * 1_000_000 // timescale


class LivePlaylists:
    """One incarnation of a programme as viewers see it; see the module for the invariant."""

    def __init__(
        self,
        key: ProgramKey,
        incarnation: str,
        *,
        access: str,
        part_target_ms: int,
        target_duration_s: int,
        room: WaitingRoom,
        audio_only: bool = False,
        dvr_window_s: int = 0,
        captions: bool = False,
        vault: Vault | None = None,
        clock: Callable[[], int] = monotonic_ms,
        clock_s: Callable[[], int] = unix_s,
    ) -> None:
        """`audio_only`: offer the sound alone, too. `dvr_window_s`: how far back viewers may go.

        Without a `vault` they may not. `captions`: somebody may listen, and tell what was said.
        """
        self.key = key
        self.incarnation = incarnation
        self.access = access
        self.part_target_ms = part_target_ms
        self.target_duration_s = target_duration_s
        self._clock = clock
        self._room = room
        self._shelf = Shelf()
        self.window_s = WINDOW * target_duration_s
        """At least so much is listed."""
        self._renditions: dict[str, Rendition] = {}
        self._revision = Revision()
        replay = None
        if vault is not None and dvr_window_s > self.window_s:
            self.window_s = dvr_window_s
            replay = Replay(vault, room, key, incarnation, self._renditions)
        self.files = Files(
            self._shelf,
            replay,
            window_s=self.window_s,
            retry_after_s=target_duration_s,
            clock=clock,
            clock_s=clock_s,
        )
        self._outlives_memory = replay is not None
        self._offers = Offers(
            self._renditions, target_duration_s=target_duration_s, audio_only=audio_only
        )
        self._captioning: Captioning | None = None
        if captions:
            self._captioning = self._make_captioning(clock_s)
        self._dates = DateRangeSet(
            skip_ms=SKIP_UNTIL * target_duration_s * 1000,
            wait_ms=BLOCK_LIMIT * target_duration_s * 1000,
            limit=LIMIT if replay is None else DVR_LIMIT,
        )
        self._ended = False
        self._parts_until_ms: int | None = None
        """When parts are listed no more, after the end."""
        self._lists = Lists(
            self._renditions,
            self._offers,
            self._dates,
            self._captioning,
            revision=self._revision,
            room=room,
            target_duration_s=target_duration_s,
            clock=clock,
        )

    @property
    def linger_s(self) -> int:
        """For so long after its end, nothing goes that a playlist lists, or was promised."""
        return 2 * self.window_s + WINDOW * self.target_duration_s

    def next_deadline(self) -> int | None:
        """When `expire` has something to do, in ms of the clock, though nothing is published."""
        known = (self._shelf.next_deadline(), self._parts_until_ms)
        return min((due for due in known if due is not None), default=None)

    def expire(self, now_ms: int) -> None:
        """Let go what has been kept for long enough."""
        if self._parts_until_ms is not None and now_ms >= self._parts_until_ms:
            self._parts_until_ms = None
            for rendition in self._renditions.values():
                rendition.playlist.drop_parts()
        self._shelf.expire(now_ms)

    @property
    def playable(self) -> bool:
        """What a player should find is there, so that any player can start."""
        return self._lists.playable

    def _make_captioning(self, clock_s: Callable[[], int]) -> Captioning:
        window_s = self.window_s if self._outlives_memory else 0
        return Captioning(
            CaptionList(
                f"{self.incarnation}/",
                target_duration_s=self.target_duration_s,
                window_s=window_s,
            ),
            self._renditions,
            self._offers,
            self._shelf,
            kept_s=2 * min(self.window_s, LONGEST_LIST_S),
            clock=self._clock,
            clock_s=clock_s,
        )

    # ---- fed by the packager

    def init(self, format: Format, number: int, data: bytes) -> None:
        rendition = self._renditions.get(format.track)
        if rendition is None:
            rendition = Rendition(
                format,
                f"{self.incarnation}/{format.track}/",
                self._shelf,
                self._room,
                self._revision,
                begins=self._begin_at,
                target_duration_s=self.target_duration_s,
                part_target_ms=self.part_target_ms,
                window_s=self.window_s if self._outlives_memory else 0,
            )
            self._renditions[format.track] = rendition
            self._lists.add(rendition)
            for tag in self._dates.tags:
                rendition.playlist.add_date(tag.id, tag.line)
        rendition.add_init(format, number, data, self._clock())

    def _begin_at(self, msn: int, now_ms: int) -> None:
        """Renditions begin together (6.2.4: what one has and another lacks is a segment at most).

        Their durations differ by a frame of sound, so one drops a segment before the others do; in
        a long window that is a chunk of segments.
        """
        for rendition in self._renditions.values():
            rendition.begin_at(msn, now_ms)

    def knows(self, rendition: str) -> bool:
        """Whether the rendition has had an init section."""
        return rendition in self._renditions

    def part(self, part: PartReady, data: bytes) -> None:
        place = Place(part.msn, part.init, part.discontinuity_seq, part.pdt_ns)
        self._renditions[part.format.track].add_part(
            place,
            part.part,
            data,
            duration_us=microseconds(part.duration, part.format.timescale),
            independent=part.independent,
            last=part.last,
            now_ms=self._clock(),
        )

    def segment(self, segment: SegmentReady) -> None:
        now_ms = self._clock()
        rendition = self._renditions[segment.format.track]
        duration_us = microseconds(segment.duration, segment.format.timescale)
        rendition.close_segment(segment.msn, duration_us, now_ms)
        self._offers.segment(segment.format.track, segment.msn)
        self._caption(rendition, segment)
        self._after_segment(now_ms)

    def gap(self, gap: GapSegment | Incomplete) -> None:
        """A segment that viewers cannot have, or not to its end."""
        now_ms = self._clock()
        if isinstance(gap, Incomplete) and gap.emitted and gap.emitted >= gap.duration:
            # Only the cut was lost: the segment is whole.
            self.segment(SegmentReady(gap.format, gap.msn, gap.start, gap.duration))
            return
        place = Place(gap.msn, gap.init, gap.discontinuity_seq, gap.pdt_ns)
        duration_us = microseconds(gap.duration, gap.format.timescale)
        rendition = self._renditions[gap.format.track]
        rendition.add_gap(place, duration_us, now_ms)
        self._caption(rendition, gap)
        self._after_segment(now_ms)

    def _caption(
        self, rendition: Rendition, segment: SegmentReady | GapSegment | Incomplete
    ) -> None:
        if self._captioning is not None:
            timescale = segment.format.timescale
            start_us = microseconds(segment.start, timescale)
            duration_us = microseconds(segment.duration, timescale)
            self._captioning.segment(rendition, start_us, duration_us)

    def hear(self, window: HeardWindow) -> None:
        """What was said in a while; nothing where no captions are offered."""
        if self._captioning is not None:
            self._captioning.hear(window)

    def set_date_range(self, one: DateRange) -> None:
        """Announce a date range in every rendition, or what it adds to the one with its ID.

        It is in every playlist from now on, so in what follows the next part. Raises
        `DateRangeError` where it contradicts what viewers were told, or there are too many.
        """
        if self._ended:
            raise DateRangeError(f"{one.id!r} comes after the end of the programme")
        tag = self._dates.add(one, self._clock())
        if tag is not None:
            for rendition in self._renditions.values():
                rendition.playlist.add_date(tag.id, tag.line)

    def end(self, *, final: bool) -> None:
        """Nothing follows. `final`: ENDLIST; else another incarnation may take over the URL."""
        self._ended = final
        now_ms = self._clock()
        self._parts_until_ms = now_ms + memory_ms(self.target_duration_s)
        for rendition in self._renditions.values():
            rendition.end(now_ms, final=final)
        if self._captioning is not None:
            self._captioning.end(final=final)
        self.release_all()

    def count_viewers(self) -> int:
        """How many waited for the newest part at once, since this was asked last. Each waits for
        its sound and for its picture."""
        sound = pictures = 0
        for rendition in self._renditions.values():
            crowd, rendition.edge_gate.crowd = rendition.edge_gate.crowd, 0
            if rendition.format.codec.kind == "video":
                pictures += crowd
            else:
                sound = max(sound, crowd)
        return max(sound, pictures)

    def release_all(self) -> None:
        """Send every waiting request home with what there is."""
        self._lists.release_all()
        for rendition in self._renditions.values():
            rendition.edge_gate.release(lambda _key: True)
            rendition.part_gate.release(lambda _key: True)

    def _after_segment(self, now_ms: int) -> None:
        self.expire(now_ms)
        self._trim_dates(now_ms)
        self._lists.after_segment()

    def _trim_dates(self, now_ms: int) -> None:
        """6.2.1: a date range stays while one of its dates is in a playlist that is offered."""
        offered = [rendition.playlist for rendition in self._offers.renditions()]
        starts = [p.first_pdt_ns for p in offered if p.first_pdt_ns is not None]
        if starts and (gone := self._dates.trim(min(starts), now_ms)):
            for rendition in self._renditions.values():
                rendition.playlist.drop_dates(gone)

    # ---- read by viewers

    def under_cap(self, name: str, cap: str) -> str | None:
        """What a viewer with this cap gets that asks for `name`; None: nothing."""
        found = multivariant_under(name, cap)
        if found is not None:
            return found
        return None if rendition_of(name) in self.beyond(cap) else name

    def beyond(self, cap: str) -> frozenset[str]:
        """The renditions that such a viewer may not have."""
        return self._offers.beyond(cap)

    def answer(self, name: str, query: str, waited: Outcome | None = None) -> Answer | None:
        """The reply to `GET {name}?{query}` below the programme's URL, or what it waits for.

        `waited`: how the wait ended that an earlier answer asked for. None: it is neither a
        playlist nor a file that is here now or to come, so `files` may find it elsewhere.
        """
        if name.endswith(".m3u8"):
            return self._lists.answer(name, query, waited)
        if (reply := self.files.held(name)) is not None:
            return reply
        for rendition in self._renditions.values():
            if name == rendition.hint_name:
                # 6.2.6: whole when it is there; if it gets lost, the hint goes, and it is a 404.
                reason = "the hinted part has not come"
                return self._lists.wait(rendition.part_gate, name, waited, reason)
        return None
