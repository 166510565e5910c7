"""An exact cut: the pictures of a window of a recording as one faststart MP4.

Invariant: the file holds the pictures whose wall clock lies in [start, end), no more and no fewer;
a time that was rounded to milliseconds means the picture it was taken from. Whole groups of
pictures are copied bit by bit, and so is the beginning of a group that decodes by itself. The
others at the edges are decoded and encoded by x264 with parameter sets of another id, which stand
in the same `avcC`. Where that cannot be, everything is encoded again and `Cut.reason` says why.

Sound is copied: the AAC frames that overlap the pictures. The first may begin up to one frame
before the first picture; an edit list takes that off, so a player that follows edits is exact and
one that does not is less than a frame of sound apart. Gaps between runs are taken out; behind one,
sound begins with the first whole frame.

Memory holds a group of pictures and a few segments, disk twice the file.

Upstream: `window.within`, `pieces`. Downstream: the clip function; `cut_check` proves the file.
"""

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from coldpath.errors import DamagedMedia
from coldpath.media import avcc, encoding
from coldpath.media.avcc import AvcConfig
from coldpath.media.cut_check import Ends
from coldpath.media.encoding import Settings
from coldpath.media.fragments import SegmentStream
from coldpath.media.pieces import Piece
from coldpath.media.recording import Rendition, Run
from coldpath.media.run_cut import AnyPacket, NotJoinable, Placed, RunCut, Source, Tally
from coldpath.media.window import Window
from infra.storage.objects import ObjectStore

log = logging.getLogger(__name__)

_KEYFRAME_S = 2
"""Between keyframes at most, where everything is encoded again."""
_LENGTH_SIZE = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """What was written."""

    path: Path
    duration: Fraction
    copied: int
    """Pictures as they were recorded."""
    encoded: int
    audio: int
    """Frames of sound."""
    ends: Ends
    reason: str = ""
    """Why everything was encoded again; empty where it was not."""

    @property
    def units(self) -> dict[str, int]:
        """Access units by kind, as `verify` counts them."""
        counts = {"video": self.copied + self.encoded, "audio": self.audio}
        return {kind: count for kind, count in counts.items() if count}


def cut(
    store: ObjectStore,
    piece: Piece,
    window: Window,
    *,
    renditions: Sequence[Rendition],
    inits: Mapping[str, bytes],
    path: Path,
    report: Callable[[int], None] = lambda _: None,
) -> Cut:
    """Writes the window of the piece to `path`; `report` is told how many pictures were read.

    The piece may hold more than the window; `renditions` are a picture, a sound or both.
    """
    used = [r for r in renditions if r.name in piece.inits]
    task = _Task(store, piece, window, used, inits, report)
    try:
        try:
            return _Writer(task, joined=True).write(path)
        except NotJoinable as error:
            log.info("everything is encoded again: %s", error)
            return replace(_Writer(task, joined=False).write(path), reason=str(error))
    except FFmpegError as error:
        raise DamagedMedia(f"a segment or init section is broken: {error}") from error


@dataclass(frozen=True, slots=True)
class _Task:
    store: ObjectStore
    piece: Piece
    window: Window
    renditions: Sequence[Rendition]
    inits: Mapping[str, bytes]
    report: Callable[[int], None]


class _Writer:
    """One try to write the file."""

    def __init__(self, task: _Task, *, joined: bool) -> None:
        self._task = task
        self._renditions = {r.kind: r for r in task.renditions}
        self._joined = joined
        self._tally = Tally()
        self._ends = Ends()
        self._settings: Settings | None = None
        self._config: AvcConfig | None = None
        self._streams: dict[str, Stream] = {}

    def write(self, path: Path) -> Cut:
        at = Fraction(0)
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="segments"))
            output: OutputContainer | None = None
            for run in self._task.piece.runs:
                with ExitStack() as opened:
                    cutting = self._run(run, at, opened, pool)
                    if output is None:
                        # Opened after the pool, so closed before it: the index is written then.
                        output = stack.enter_context(
                            av.open(str(path), "w", format="mp4", options=_FASTSTART)
                        )
                        self._add_streams(output, stack)
                    for unit in cutting.units():
                        output.mux(self._packet(unit))
                    at = cutting.end
        tally = self._tally
        if not tally.copied + tally.encoded + tally.audio:
            raise DamagedMedia("no picture and no sound lies in the window")
        return Cut(path, at, tally.copied, tally.encoded, tally.audio, self._ends)

    def _run(self, run: Run, at: Fraction, stack: ExitStack, pool: ThreadPoolExecutor) -> RunCut:
        found: dict[str, Source] = {}
        for kind, rendition in self._renditions.items():
            if run.of(rendition.name):
                found[kind] = self._source(run, rendition, stack, pool)
        return RunCut(
            found.get("video"),
            found.get("audio"),
            self._task.window,
            settings=self._settings,
            joined=self._joined,
            at=at,
            tally=self._tally,
            ends=self._ends,
        )

    def _source(
        self, run: Run, rendition: Rendition, stack: ExitStack, pool: ThreadPoolExecutor
    ) -> Source:
        segments = run.of(rendition.name)
        data = SegmentStream(
            self._task.store, self._task.inits[segments[0].init_key], segments, pool
        )
        container = stack.enter_context(av.open(stack.enter_context(data), "r", format="mp4"))
        stream = container.streams[0]
        if isinstance(stream, VideoStream) and self._settings is None:
            self._settings = self._choose(stream)
        packets = self._read(container, isinstance(stream, VideoStream))
        shown_ns = segments[0].entry.pdt_ns
        return Source(packets, stream.codec_context, rendition.timescale, shown_ns)

    def _read(self, container: InputContainer, pictures: bool) -> Iterator[AnyPacket]:
        for packet in container.demux():
            if packet.dts is None:
                continue  # the end-of-stream marker
            if pictures:
                self._task.report(1)
            yield packet

    def _choose(self, stream: VideoStream) -> Settings:
        base = stream.time_base or Fraction(1, 90_000)
        rate = stream.average_rate or stream.guessed_rate or Fraction(30)
        settings = Settings.like(stream.codec_context, base, rate)
        if not self._joined:
            return replace(settings, gop=round(_KEYFRAME_S * rate))
        config = self._config = _config(stream)
        return replace(settings, profile=config.profile, set_id=config.free_id())

    def _add_streams(self, output: OutputContainer, stack: ExitStack) -> None:
        for kind, rendition in self._renditions.items():
            init = self._task.inits[self._task.piece.inits[rendition.name]]
            # The template is read when the header is written: keep it open.
            template = stack.enter_context(av.open(io.BytesIO(init), format="mp4"))
            source = cast(InputContainer, template).streams[0]
            if kind == "video" and self._settings is not None:
                self._streams[kind] = self._video_stream(output, source, self._settings)
            else:
                self._streams[kind] = output.add_stream_from_template(source)
            # Without a time base of its own a stream gets milliseconds, and frames get jitter.
            self._streams[kind].time_base = source.time_base

    def _video_stream(self, output: OutputContainer, source: Stream, settings: Settings) -> Stream:
        if self._config is None:
            made = output.add_stream("libx264", settings.rate)
            settings.apply(made.codec_context)
            return made
        stream = output.add_stream_from_template(source)
        stream.codec_context.extradata = _merged(self._config, settings)
        return stream

    def _packet(self, unit: Placed) -> "Packet[Stream]":
        stream = self._streams[unit.kind]
        packet: Packet[Stream] = Packet(unit.data)
        packet.stream = stream
        packet.time_base = Fraction(1, self._renditions[unit.kind].timescale)
        packet.pts, packet.dts, packet.duration = unit.pts, unit.dts, unit.duration
        packet.is_keyframe = unit.key
        return packet


_FASTSTART = {"movflags": "faststart"}


def _config(stream: Stream) -> AvcConfig:
    """The source's configuration, if pictures that x264 encodes can stand beside its own."""
    context = stream.codec_context
    if context.name != "h264":
        raise NotJoinable(f"the source is {context.name}")
    try:
        config = AvcConfig.parse(bytes(context.extradata or b""))
    except ValueError as error:
        raise NotJoinable(str(error)) from error
    pix_fmt = stream.codec_context.pix_fmt if isinstance(stream, VideoStream) else None
    if not encoding.can_encode(config.profile) or pix_fmt not in encoding.EIGHT_BIT:
        raise NotJoinable(f"the source has profile {config.profile} and pixels {pix_fmt}")
    if config.length_size != _LENGTH_SIZE:
        raise NotJoinable(f"lengths of NAL units have {config.length_size} bytes")
    return config


def _merged(config: AvcConfig, settings: Settings) -> bytes:
    """The source's `avcC` with the parameter sets of what is encoded beside it."""
    own = avcc.from_annex_b(bytes(settings.encoder().extradata or b""))
    sps = [nal for nal in own if avcc.kind(nal) == avcc.SPS]
    pps = [nal for nal in own if avcc.kind(nal) == avcc.PPS]
    try:
        return config.merged(sps, pps).to_bytes()
    except ValueError as error:
        raise NotJoinable(str(error)) from error
