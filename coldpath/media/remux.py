"""Segments into a faststart MP4: access units are copied, nothing is encoded.

Invariant: the file holds every access unit that the manifests list, no more and no fewer, with
timestamps as `splice` defines; else `DamagedMedia` is raised. Memory is bounded by a few segments,
disk by twice the file (faststart moves the index to the front at the end).

Upstream: `pieces` and `fragments`. Downstream: the archive function uploads the file.
Traps: PyAV opens a rendition without decoding only if nothing asks for frames; a container that is
not closed leaks its reader; fMP4 of a live programme does not start at 0.
"""

import heapq
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, cast

import av
from av.container import InputContainer, OutputContainer
from av.error import InvalidDataError
from av.packet import Packet
from av.stream import Stream

from coldpath.errors import DamagedMedia
from coldpath.media.fragments import SegmentStream
from coldpath.media.pieces import Piece
from coldpath.media.recording import Rendition, Run
from coldpath.media.splice import Splice
from infra.storage.objects import ObjectStore

AnyPacket: TypeAlias = "Packet[Stream]"  # generic in its type stub only
Report: TypeAlias = Callable[[int], None]
"""Told how many more access units were written, every now and then."""
_REPORT_EVERY = 256


@dataclass(frozen=True, slots=True)
class Remuxed:
    """What was written."""

    path: Path
    duration: Fraction
    units: Mapping[str, int]
    """Access units by kind of rendition."""


def remux(
    store: ObjectStore,
    piece: Piece,
    *,
    renditions: Sequence[Rendition],
    inits: Mapping[str, bytes],
    path: Path,
    report: Report = lambda _: None,
) -> Remuxed:
    """Writes the piece to `path`; `renditions` are the candidates, `inits` their init sections."""
    used = [r for r in renditions if r.name in piece.inits]
    try:
        return _write(_Source(store, inits), piece, used, path, report)
    except InvalidDataError as error:
        raise DamagedMedia(f"{piece.name}: a segment or init section is broken: {error}") from error


def _write(
    source: "_Source", piece: Piece, used: Sequence[Rendition], path: Path, report: Report
) -> Remuxed:
    splice = Splice({r.name: r.timescale for r in used})
    written: dict[str, int] = dict.fromkeys((r.kind for r in used), 0)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="segments"))
        # Opened after the pool, so closed before it: the index is written on close.
        output = stack.enter_context(
            av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        )
        streams = {
            r.name: _output_stream(output, source.inits[piece.inits[r.name]], stack) for r in used
        }
        unreported = 0
        for run in piece.runs:
            for rendition, packet in _run_packets(source, run, used, splice, pool):
                packet.stream = streams[rendition.name]
                output.mux(packet)
                written[rendition.kind] += 1
                unreported += 1
                if unreported >= _REPORT_EVERY:
                    report(unreported)
                    unreported = 0
        report(unreported)
    return Remuxed(path, splice.end, written)


@dataclass(frozen=True, slots=True)
class _Source:
    store: ObjectStore
    inits: Mapping[str, bytes]


def _output_stream(output: OutputContainer, init: bytes, stack: ExitStack) -> Stream:
    # The template is read when the header is written, with the first packet: keep it open.
    template = stack.enter_context(av.open(io.BytesIO(init), format="mp4"))
    source = cast(InputContainer, template).streams[0]
    stream = output.add_stream_from_template(source)
    # Without a time base of its own a stream gets milliseconds, and frames get jitter.
    stream.time_base = source.time_base
    return stream


def _run_packets(
    source: _Source,
    run: Run,
    renditions: Sequence[Rendition],
    splice: Splice,
    pool: ThreadPoolExecutor,
) -> Iterator[tuple[Rendition, AnyPacket]]:
    """The run's access units of all renditions in decode order, placed on the output timeline."""
    with ExitStack() as stack:
        heads: list[tuple[Fraction, int, AnyPacket]] = []
        sources = [(r, _packets(source, run, r, stack, pool)) for r in renditions if run.of(r.name)]
        for index, (_, packets) in enumerate(sources):
            _push(heads, index, packets)
        splice.begin({sources[i][0].name: _ticks(packet.pts) for _, i, packet in heads})
        while heads:
            _, index, packet = heapq.heappop(heads)
            rendition, packets = sources[index]
            packet.pts, packet.dts = splice.place(
                rendition.name, _ticks(packet.pts), _ticks(packet.dts), packet.duration or 0
            )
            yield rendition, packet
            _push(heads, index, packets)


def _push(
    heads: list[tuple[Fraction, int, AnyPacket]], index: int, packets: Iterator[AnyPacket]
) -> None:
    packet = next(packets, None)
    if packet is not None:
        # One packet per source is on the heap, so (time, index) decides and packets never compare.
        heapq.heappush(heads, (_ticks(packet.dts) * packet.time_base, index, packet))


def _packets(
    source: _Source, run: Run, rendition: Rendition, stack: ExitStack, pool: ThreadPoolExecutor
) -> Iterator[AnyPacket]:
    segments = run.of(rendition.name)
    stream = stack.enter_context(
        SegmentStream(source.store, source.inits[segments[0].init_key], segments, pool)
    )
    container = stack.enter_context(av.open(stream, "r", format="mp4"))
    expected, found = sum(s.entry.samples for s in segments), 0
    for packet in container.demux():
        if packet.dts is None:
            continue  # the end-of-stream marker
        found += 1
        yield packet
    if found != expected:
        raise DamagedMedia(
            f"{rendition.name} of incarnation {run.incarnation}, segments "
            f"{run.msns[0]}-{run.msns[-1]}: the manifest lists {expected} access units, "
            f"the segments hold {found}"
        )


def _ticks(value: int | None) -> int:
    if value is None:
        raise DamagedMedia("an access unit has no timestamp")
    return value
