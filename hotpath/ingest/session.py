"""One publisher's transport stream: bytes in, formats, units and warnings out.

Invariant: pure and total: any bytes in any chunking give events, never an exception; formats come
before the units that need them. Carries the streams that `layout` chooses.

Upstream: `hotpath.ingest.srt` (or the fallback child). Downstream: the node's publisher sink.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from hotpath.ingest.layout import layout
from hotpath.media.access_units import TrackAssembler, TrackFacts, assembler_for
from hotpath.media.clock import Unwrapper
from hotpath.media.pes import Pes, Torn
from hotpath.media.psi import ProgramMap
from hotpath.media.ts import MapChanged, TsCounters, TsDemuxer
from hotpath.media.unit import AUDIO, FURTHER_AUDIO, VIDEO, Format, Unit


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
    """Of the first sound."""
    formats: tuple[Format, ...]
    early: dict[int, str] = field(default_factory=dict)
    further: dict[str, TrackFacts] = field(default_factory=dict)
    """Of further sounds, by track."""


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
        by_track = {track.track: track.facts for track in self._tracks.values()}
        return SessionFacts(
            self._demuxer.counters,
            by_track.get(VIDEO),
            by_track.get(AUDIO),
            self._announced,
            self._demuxer.early_states(),
            {name: facts for name, facts in by_track.items() if name in FURTHER_AUDIO},
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
        chosen = layout(found, {pid: track.track for pid, track in self._tracks.items()})
        tracks: dict[int, TrackAssembler] = {}
        for each in chosen.chosen:
            track = self._tracks.get(each.entry.pid)
            if track is None or (track.track, track.entry) != (each.track, each.entry):
                track = assembler_for(each.track, each.entry, each.codec, self._clock)
            tracks[each.entry.pid] = track
        for pid, track in self._tracks.items():
            if tracks.get(pid) is not track and (left := track.flush()):
                events.append(UnitsReady(tuple(left)))
        removed = any(tracks.get(pid) is not t for pid, t in self._tracks.items())
        self._tracks = tracks
        if removed and self._announced:
            self._announce(events)
        events.extend(IngestWarning(code, words) for code, words in chosen.remarks)
        if chosen.convert:
            events.append(NeedsFallback(chosen.convert))

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
