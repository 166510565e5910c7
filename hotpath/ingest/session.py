"""One publisher's transport stream: bytes in, formats, units and warnings out.

Invariant: pure and total: any bytes in any chunking give events, never an exception; formats come
before the units that need them. Carries the first video and the first audio stream.

Upstream: `hotpath.ingest.srt` (or the fallback child). Downstream: the node's publisher sink.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from hotpath.media.access_units import TrackAssembler, TrackFacts, assembler_for
from hotpath.media.clock import Unwrapper
from hotpath.media.pes import Pes, Torn
from hotpath.media.psi import ProgramMap
from hotpath.media.streams import codec_of, foreign_audio, foreign_video
from hotpath.media.ts import MapChanged, TsCounters, TsDemuxer
from hotpath.media.unit import Format, Unit


@dataclass(frozen=True, slots=True)
class FormatsChanged:
    """All tracks that can be described now; replaces what was said before."""

    formats: tuple[Format, ...]


@dataclass(frozen=True, slots=True)
class UnitsReady:
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class IngestWarning:
    """Something the creator should know; each code at most once per stream layout."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NeedsFallback:
    """The stream carries audio that this process does not split; `codec` names it."""

    codec: str


IngestEvent: TypeAlias = FormatsChanged | UnitsReady | IngestWarning | NeedsFallback


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A snapshot for statistics and health rules."""

    counters: TsCounters
    video: TrackFacts | None
    audio: TrackFacts | None
    formats: tuple[Format, ...]
    early: dict[int, str] = field(default_factory=dict)


class TsIngest:
    """`receive(bytes, now_ns)`, then `poll(now_ns)`; `flush()` and a last `poll` at the end."""

    def __init__(self) -> None:
        self._demuxer = TsDemuxer()
        self._clock = Unwrapper()
        self._tracks: dict[int, TrackAssembler] = {}
        self._announced: tuple[Format, ...] = ()
        self._warned: set[str] = set()
        self._flushing = False

    def receive(self, data: bytes, now_ns: int) -> None:
        """`now_ns`: Unix ns at which the last byte of `data` was received."""
        self._demuxer.receive(data, now_ns)

    def flush(self) -> None:
        """The publisher is gone: the next poll also gives what waited for a successor."""
        self._demuxer.flush()
        self._flushing = True

    def poll(self, now_ns: int) -> list[IngestEvent]:
        """Everything that has become known; `now_ns` is when the units count as demuxed."""
        events: list[IngestEvent] = []
        units: list[Unit] = []
        for item in self._demuxer.poll():
            if isinstance(item, Pes):
                track = self._tracks.get(item.pid)
                if track is not None:
                    self._take(track, track.receive(item, now_ns), units, events)
            elif isinstance(item, Torn):
                if item.pid in self._tracks:
                    self._tracks[item.pid].torn()
            elif isinstance(item, MapChanged):
                self._close_batch(units, events)
                self._take_map(item.map, events)
        if self._flushing:
            for track in self._tracks.values():
                self._take(track, track.flush(), units, events)
        self._close_batch(units, events)
        self._report_counters(events)
        return events

    def facts(self) -> SessionFacts:
        by_kind = {_kind(t): t.facts for t in self._tracks.values()}
        return SessionFacts(
            self._demuxer.counters,
            by_kind.get("video"),
            by_kind.get("audio"),
            self._announced,
            self._demuxer.early_states(),
        )

    def _take(
        self,
        track: TrackAssembler,
        ready: list[Unit],
        units: list[Unit],
        events: list[IngestEvent],
    ) -> None:
        if not ready:
            return
        if track.format is not None and track.format not in self._announced:
            self._close_batch(units, events)
            self._announce(events)
        units += ready

    def _announce(self, events: list[IngestEvent]) -> None:
        self._announced = tuple(t.format for t in self._tracks.values() if t.format)
        events.append(FormatsChanged(self._announced))

    @staticmethod
    def _close_batch(units: list[Unit], events: list[IngestEvent]) -> None:
        if units:
            events.append(UnitsReady(tuple(units)))
            units.clear()

    def _take_map(self, found: ProgramMap, events: list[IngestEvent]) -> None:
        self._warned.clear()
        tracks: dict[int, TrackAssembler] = {}
        kinds: set[str] = set()
        extra = 0
        for entry in found.streams:
            codec = codec_of(entry)
            if codec is None:
                continue
            if codec.kind in kinds:
                extra += 1
                continue
            kinds.add(codec.kind)
            known = self._tracks.get(entry.pid)
            same = known is not None and known.entry == entry
            tracks[entry.pid] = (
                known if same and known else assembler_for(entry, codec, self._clock)
            )
        for pid, track in self._tracks.items():
            if tracks.get(pid) is not track and (left := track.flush()):
                events.append(UnitsReady(tuple(left)))
        removed = any(tracks.get(pid) is not t for pid, t in self._tracks.items())
        self._tracks = tracks
        if removed and self._announced:
            self._announce(events)
        events.extend(self._judge(found, kinds, extra))

    def _judge(self, found: ProgramMap, kinds: set[str], extra: int) -> Iterator[IngestEvent]:
        videos = [n for e in found.streams if (n := foreign_video(e))]
        audios = [n for e in found.streams if (n := foreign_audio(e))]
        if videos and "video" not in kinds:
            yield IngestWarning("video-codec", f"The video is {videos[0]}: send H.264.")
        if audios and "audio" not in kinds:
            yield IngestWarning(
                "audio-codec",
                f"The audio is {audios[0]} and is converted: send AAC to save a step.",
            )
            yield NeedsFallback(audios[0])
        if extra:
            yield IngestWarning(
                "extra-tracks",
                f"{extra} more audio or video tracks are ignored: only the first of each is used.",
            )
        if not kinds and not videos and not audios:
            yield IngestWarning("no-media", "The stream declares no audio and no video.")

    def _report_counters(self, events: list[IngestEvent]) -> None:
        counters = self._demuxer.counters
        if counters.scrambled:
            self._warn("scrambled", "The transport stream is scrambled: turn that off.", events)
        if counters.other_programs:
            self._warn(
                "several-programs",
                f"The transport stream has {counters.other_programs + 1} programmes: "
                "only the first is used.",
                events,
            )

    def _warn(self, code: str, message: str, events: list[IngestEvent]) -> None:
        if code not in self._warned:
            self._warned.add(code)
            events.append(IngestWarning(code, message))


def _kind(track: TrackAssembler) -> str:
    codec = codec_of(track.entry)
    return codec.kind if codec else ""
