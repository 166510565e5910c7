"""The packager: one programme's items in, LL-HLS media out to viewers and to the recorder.

Invariant: what it publishes is a pure function of the marked units; the recorder gets everything
just before viewers do (its calls only queue, and what a viewer has seen should be on its way to
disk), and neither makes the programme wait. Upstream: a `hotpath.bus` cursor. Downstream: the
`Recorder` and `LivePlaylists`. One asyncio task per programme; muxing runs in an executor.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor

import structlog

from hotpath.bus.stream import ProgramStream
from hotpath.hls.events import (
    Ended,
    Event,
    GapSegment,
    Incomplete,
    InitNeeded,
    PartReady,
    SegmentReady,
)
from hotpath.hls.fmp4 import FragmentSample, fragment, length_prefixed, sequence_number
from hotpath.hls.init import InitSectionError, init_section
from hotpath.hls.live import LivePlaylists
from hotpath.hls.recorder import Recorder
from hotpath.hls.segmenter import Segmenter
from hotpath.media.unit import Codec
from infra.renditions import RUNGS
from infra.telemetry.stages import observe_stage

log = structlog.get_logger(__name__)

Product = bytes | InitSectionError | None
"""Bytes of an init section or part; an error; None for events that need none."""


def mux_part(part: PartReady) -> bytes:
    """The part as `moof`+`mdat`."""
    codec = part.format.codec
    video = codec in (Codec.H264, Codec.HEVC)
    samples = [
        FragmentSample(
            length_prefixed(unit.data, codec) if video else unit.data,
            duration,
            unit.pts - unit.dts,
            unit.keyframe or not video,
        )
        for unit, duration in zip(part.units, part.durations, strict=True)
    ]
    return fragment(sequence_number(part.msn, part.part), part.start, samples)


def produce(events: Sequence[Event]) -> list[Product]:
    """The bytes that each event needs, in order; runs off the event loop."""
    products: list[Product] = []
    for event in events:
        match event:
            case InitNeeded(format=fmt):
                try:
                    products.append(init_section(fmt))
                except InitSectionError as error:
                    products.append(error)
            case PartReady():
                products.append(mux_part(event))
            case _:
                products.append(None)
    return products


class Packager:
    """Packages one incarnation of a programme; see the module for the invariant.

    It reads from the moment it is made, so make it before the first item is published.
    """

    def __init__(
        self,
        stream: ProgramStream,
        playlist: LivePlaylists,
        recorder: Recorder,
        executor: Executor | None,
        *,
        part_target_ms: int,
        target_duration_s: int,
    ) -> None:
        if (part_target_ms, target_duration_s) != (
            playlist.part_target_ms,
            playlist.target_duration_s,
        ):
            raise ValueError("programme and playlists must have the same part and target duration")
        self._cursor = stream.cursor("keyframe")
        self._playlist = playlist
        self._recorder = recorder
        self._executor = executor
        self._segmenter = Segmenter()
        self._skipped = 0
        self._unusable: dict[str, PartReady | None] = {}
        """Renditions without an init section -> the first part of their open segment."""
        self._log = log.bind(program=str(stream.key), incarnation=stream.incarnation)

    async def run(self) -> None:
        """Until the programme ends; cancel to abandon it unsealed."""
        while items := await self._cursor.read():
            lost = self._cursor.skipped - self._skipped
            if lost:
                self._skipped = self._cursor.skipped
                self._log.warning("packager fell behind", units_lost=lost)
                self._segmenter.skipped()
            events = self._segmenter.receive(items)
            if events:
                await self._package(events)

    async def _package(self, events: Sequence[Event]) -> None:
        if all(isinstance(event, SegmentReady | GapSegment | Ended) for event in events):
            products: list[Product] = [None] * len(events)
        else:
            loop = asyncio.get_running_loop()
            products = await loop.run_in_executor(self._executor, produce, events)
        for event, product in zip(events, products, strict=True):
            self._publish(event, product)

    def _publish(self, event: Event, product: Product) -> None:
        match event:
            case InitNeeded():
                self._publish_init(event, product)
            case PartReady() if isinstance(product, bytes):
                self._publish_part(event, product)
            case SegmentReady():
                self._publish_segment(event)
            case GapSegment():
                self._publish_gap(event)
            case Incomplete():
                self._publish_incomplete(event)
            case Ended(final=final):
                self._recorder.seal(final=final)
                self._playlist.end(final=final)

    def _publish_init(self, event: InitNeeded, product: Product) -> None:
        track = event.format.track
        if isinstance(product, bytes):
            self._unusable.pop(track, None)
            self._recorder.init(event.format, event.number, product)
            self._playlist.init(event.format, event.number, product)
        else:
            self._unusable[track] = None
            self._log.error("rendition cannot be packaged", rendition=track, why=str(product))

    def _publish_part(self, part: PartReady, data: bytes) -> None:
        track = part.format.track
        if track in self._unusable:
            self._unusable[track] = self._unusable[track] or part
            return
        self._recorder.part(
            track,
            part.msn,
            part.part,
            data,
            init=part.init,
            start=part.start,
            duration=part.duration,
            samples=len(part.units),
            independent=part.independent,
            discontinuity_seq=part.discontinuity_seq,
            pdt_ns=part.pdt_ns,
            ingest_ns=part.units[0].ingest_ns,
        )
        self._playlist.part(part, data)
        if track in RUNGS:
            return  # its age is its encoder's, and would hide what the path itself takes
        now_ns = time.time_ns()
        for unit in part.units:
            if unit.slate:
                continue
            observe_stage("packaged", (now_ns - unit.ingest_ns) / 1e9)

    def _publish_segment(self, segment: SegmentReady) -> None:
        track = segment.format.track
        if track in self._unusable:
            first, self._unusable[track] = self._unusable[track], None
            if first is not None:
                self._publish_gap(
                    GapSegment(
                        segment.format,
                        first.init,
                        segment.msn,
                        segment.start,
                        segment.duration,
                        first.discontinuity_seq,
                        first.pdt_ns,
                    )
                )
            return
        self._recorder.segment(track, segment.msn, duration=segment.duration)
        self._playlist.segment(segment)

    def _publish_gap(self, gap: GapSegment) -> None:
        track = gap.format.track
        if self._playlist.knows(track):
            self._recorder.gap(track, gap.msn, start=gap.start, duration=gap.duration)
            self._playlist.gap(gap)

    def _publish_incomplete(self, lost: Incomplete) -> None:
        track = lost.format.track
        if not self._playlist.knows(track):
            return
        if lost.emitted:
            self._recorder.segment(track, lost.msn, duration=lost.emitted)
        if lost.duration > lost.emitted:
            self._recorder.hole(
                track, first_msn=lost.msn, last_msn=lost.msn, reason="reader-behind"
            )
        self._playlist.gap(lost)
