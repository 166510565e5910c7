"""Watching over WHEP: the delay of every decoded frame, and how soon a join has its keyframe.

Blocking; runs in threads. Upstream: `whep_client`. Downstream: `report`.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import av
from aiortc.rtp import RtpPacket
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from infra.demo import barcode
from infra.demo.decoding import luma
from infra.demo.frames import CodedFrame, FrameAssembler, PacketCount
from infra.demo.player import nearest_rank
from infra.demo.whep_client import WhepClient

# What a join is given to catch up with is older than the live edge by design.
SETTLING_NS = 1_000_000_000
JOIN_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class WhepViewing:
    """What one viewer saw from its join to the end."""

    delays_ms: Sequence[float]
    """From drawing a frame until it was decoded, for frames after the first second."""
    frames: int
    lost_packets: int
    newest: int
    """Number of the newest frame, -1 if none was read."""

    def glass_to_glass_ms(self, quantile: float) -> float | None:
        return nearest_rank(sorted(self.delays_ms), quantile)


@dataclass(slots=True)
class WhepViewer:
    """One viewer of one WHEP URL."""

    url: str
    newest: int = -1
    frames: int = 0
    _delays: list[float] = field(default_factory=list)
    _first_ns: int | None = None

    def watch(self, stop: threading.Event) -> WhepViewing:
        """Join and decode everything until `stop` is set."""
        assembler, audio, decoder = FrameAssembler(), PacketCount(), Decoder()
        with WhepClient(self.url) as client:
            for packet, received_ns in client.packets(stop.is_set):
                if packet.payload_type == client.audio_type:
                    audio.receive(packet.sequence_number)
                if packet.payload_type != client.video_type:
                    continue
                if frame := assembled(assembler, packet, received_ns):
                    self._show(decoder, frame)
        lost = assembler.count.lost + audio.lost
        return WhepViewing(self._delays, self.frames, lost, self.newest)

    def _show(self, decoder: "Decoder", frame: CodedFrame) -> None:
        for stamp in decoder.decode(frame):
            now_ns = time.time_ns()
            self.frames += 1
            self._first_ns = self._first_ns or now_ns
            if stamp is None:
                continue
            self.newest = max(self.newest, stamp.index)
            if now_ns - self._first_ns >= SETTLING_NS:
                self._delays.append(now_ns / 1e6 - stamp.unix_ms)


class Decoder:
    """H.264 to barcodes, without keeping a frame back."""

    def __init__(self) -> None:
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, VideoCodecContext)  # noqa: S101 - for the type checker
        context.thread_type = "SLICE"
        context.thread_count = 1
        self._context = context

    def pictures(self, frame: CodedFrame) -> list[VideoFrame]:
        packet = av.Packet(frame.data)
        packet.pts = packet.dts = frame.timestamp
        return self._context.decode(packet)

    def decode(self, frame: CodedFrame) -> list[barcode.Stamp | None]:
        return [barcode.read(luma(picture)) for picture in self.pictures(frame)]


def first_keyframe_ms(url: str, cancelled: Callable[[], bool]) -> float | None:
    """From the request until the last packet of the first whole keyframe; None: none came."""
    deadline = time.monotonic() + JOIN_TIMEOUT_S
    assembler = FrameAssembler()
    with WhepClient(url) as client:
        for packet, received_ns in client.packets(
            lambda: cancelled() or time.monotonic() > deadline
        ):
            if packet.payload_type == client.video_type:
                frame = assembled(assembler, packet, received_ns)
                if frame is not None and frame.keyframe:
                    return (frame.received_ns - client.asked_ns) / 1e6
    return None


def assembled(assembler: FrameAssembler, packet: RtpPacket, received_ns: int) -> CodedFrame | None:
    """The frame that the packet completes."""
    return assembler.receive(
        packet.sequence_number,
        packet.timestamp,
        packet.payload,
        received_ns,
        marker=bool(packet.marker),
    )
