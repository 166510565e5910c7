"""A WHIP publisher without a network: a camera, a microphone and a line that is not even, seeded.

What arrives goes through the ingest core, a programme and the segmenter, so that a test sees the
parts that viewers are told of. One thread, no clock but the one that is played.
"""

import random
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from hotpath.hls.events import Event, PartReady
from hotpath.hls.segmenter import Segmenter
from hotpath.ingest.admission import Refusal
from hotpath.ingest.statistics import Publisher
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.ingest.whip_publisher import WhipPublisher
from hotpath.media.unit import VIDEO, Format, Item, Unit
from hotpath.program.options import Numbers, ProgramOptions
from hotpath.program.service import Program
from hotpath.program.states import OpenWanted, ProgramEvent
from hotpath.webrtc.rtcp import Fir, Nack, Pli, SenderReport, build_sender_report, parse_rtcp
from hotpath.webrtc.rtp import RtpPacket, build_rtp, ntp_of
from hotpath.webrtc.sdp import choose_publisher, parse_offer
from tests.support.offers import offer

MS = 1_000_000
SECOND = 1_000 * MS
WALL = 1_790_000_000 * SECOND
SPS = bytes.fromhex("6742c01fd900a02ff9610000030001000003003c8f183248")
PPS = bytes.fromhex("68cb8cb2")
IDR, SLICE = b"\x65\x88" + bytes(40), b"\x41\x9a" + bytes(40)
OPUS = b"\xfc\xff\xfe" + bytes(20)
TRIP = 30 * MS
VIDEO_SSRC, AUDIO_SSRC, RTX_SSRC = 5, 6, 7


def steady(fps: Fraction | int, seconds: float) -> list[int]:
    """When a camera of so many frames a second takes them, ns."""
    return [int(n * SECOND / fps) for n in range(int(seconds * fps))]


@dataclass
class Line:
    """What happens to packets and reports on the way."""

    jitter_ms: float = 0.0
    """At most, beside the way itself."""
    reorders: bool = False
    loss: float = 0.0
    ppm: int = 0
    """By how much the camera's clock runs faster than the microphone's."""
    report_off_ms: float = 0.0
    """At most: how far a report's wall clock is from when its timestamp was taken."""
    first_report_s: float = 0.4
    late_sound_ms: int = 0
    """The sound comes so much later than the picture of the same moment."""


@dataclass
class Source:
    """Plays a camera's frames and 20 ms of Opus all the time, once; `run` returns the events."""

    line: Line = field(default_factory=Line)
    seed: int = 1
    video_offset: int = 0xFFFF_F000
    sound: bool = True
    sps: bytes = SPS

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.media = choose_publisher(parse_offer(offer("chromium-whip")))
        self.items: list[Item] = []
        self.units: list[Unit] = []
        self.events: list[Event] = []
        self.now = 0
        self.program = Program(ProgramOptions(), self._heard)
        self.program.publisher_connected(1, 0, WALL)
        self.segmenter = Segmenter()
        who = Publisher(1, "default", "ev_a", "main", "192.0.2.1:9", 0, "whip")
        self.core = WhipPublisher(
            who, self.media, self, send=self._feedback, ssrc=99, limits=WhipLimits(),
            keyframe_interval_s=2.0, now=0,
        )  # fmt: skip
        self._flying: list[tuple[int, int, bytes, bool]] = []
        self._sent: dict[int, RtpPacket] = {}
        self._sequence = 65_000
        self._key_wanted = True
        self._order = 0
        self._free = {"video": 0, "audio": 0}

    # -- the sink ----------------------------------------------------------------------------

    def publisher_connected(self, publisher: Publisher) -> None: ...

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None: ...

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None: ...

    def publisher_refused(self, refusal: Refusal) -> None: ...

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        self.program.publisher_formats(1, formats, self.now, WALL + self.now)

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        self.units += units
        self.program.publisher_units(1, units, self.now, WALL + self.now)

    # -- the programme -----------------------------------------------------------------------

    def _heard(self, event: ProgramEvent) -> None:
        if isinstance(event, OpenWanted):
            numbers = Numbers(0, 0, event.epoch_ns)
            self.program.opened(self._publish, numbers, self.now, WALL + self.now)

    def _publish(self, items: Iterable[Item]) -> None:
        found = list(items)
        self.items += found
        self.events += self.segmenter.receive(found)

    # -- the publisher -----------------------------------------------------------------------

    def run(self, frames: Sequence[int], *, sound_until: int | None = None) -> list[Event]:
        """The frames are taken at these times, ns; the sound goes on until then, or the last."""
        until = max(frames[-1], sound_until or 0)
        sounds = range(0, until, 20 * MS) if self.sound else range(0)
        taken = [(at, "video", n) for n, at in enumerate(frames)]
        taken += [(at, "audio", n) for n, at in enumerate(sounds)]
        report = int(self.line.first_report_s * SECOND)
        while report < until:
            taken += [(report, "report", 0)]
            report += self.random.randrange(500 * MS, 1500 * MS)
        for at, kind, n in sorted(taken):
            self._arrive(at)
            self.now = max(self.now, at)
            if kind == "video":
                self._take_picture(at)
            elif kind == "audio":
                self._take_sound(at, n)
            else:
                self._report(at)
        self._arrive(until + SECOND)
        return self.events

    def rtp_of(self, at: int) -> int:
        """The picture's timestamp of what is taken then."""
        ticks = at * 90 * (1_000_000 + self.line.ppm) // (MS * 1_000_000)
        return (self.video_offset + ticks) & 0xFFFFFFFF

    def _take_picture(self, at: int) -> None:
        assert self.media.video is not None
        nals = (self.sps, PPS, IDR) if self._key_wanted else (SLICE,)
        self._key_wanted = False
        for nal in nals:
            packet = RtpPacket(
                self.media.video.payload_type, nal is nals[-1], self._sequence & 0xFFFF,
                self.rtp_of(at), VIDEO_SSRC, nal,
            )  # fmt: skip
            self._sequence += 1
            self._sent[packet.sequence] = packet
            self._send(at, build_rtp(packet), "video")

    def _take_sound(self, at: int, n: int) -> None:
        assert self.media.audio is not None
        packet = RtpPacket(
            self.media.audio.payload_type, False, n & 0xFFFF, 960 * n, AUDIO_SSRC, OPUS
        )
        self._send(at + self.line.late_sound_ms * MS, build_rtp(packet), "audio")

    def _report(self, at: int, *, sound_at: int | None = None) -> None:
        """`sound_at`: what the sound's clock stands at, if that is not the time."""
        sound = (at if sound_at is None else sound_at) * 48 // MS
        for ssrc, rtp in ((VIDEO_SSRC, self.rtp_of(at)), (AUDIO_SSRC, sound)):
            off = int(self.random.uniform(-1, 1) * self.line.report_off_ms * MS)
            report = SenderReport(ssrc, ntp_of(WALL + at + off), rtp, 1, 1)
            self._fly(at + TRIP // 2, build_sender_report(report, "source"), rtcp=True)

    def _send(self, at: int, packet: bytes, track: str) -> None:
        if self.random.random() < self.line.loss:
            return
        due = at + TRIP // 2 + int(self.random.random() * self.line.jitter_ms * MS)
        if not self.line.reorders:
            due = self._free[track] = max(due, self._free[track])
        self._fly(due, packet)

    def _fly(self, due: int, packet: bytes, *, rtcp: bool = False) -> None:
        self._order += 1
        insort(self._flying, (due, self._order, packet, rtcp))

    def _arrive(self, until: int) -> None:
        """Everything that happens up to then, in order."""
        while True:
            due = [self.core.next_deadline(), self.program.next_deadline() or until + 1]
            due += [self._flying[0][0]] if self._flying else []
            if min(due) > until:
                return
            self.now = max(self.now, min(due))
            if self._flying and self._flying[0][0] <= self.now:
                _, _, packet, rtcp = self._flying.pop(0)
                if rtcp:
                    self.core.receive_rtcp(packet, self.now)
                else:
                    self.core.receive_rtp(packet, WALL + self.now, self.now)
            if self.core.next_deadline() <= self.now:
                self.core.poll(self.now)
            if (self.program.next_deadline() or until + 1) <= self.now:
                self.program.poll(self.now, WALL + self.now)

    def _feedback(self, packet: bytes) -> None:
        """What the core asks for reaches the publisher half a round trip later; or at once."""
        for event in parse_rtcp(packet):
            if isinstance(event, Pli | Fir):
                self._key_wanted = True
            elif isinstance(event, Nack):
                for number in event.sequences:
                    self._send_again(number)

    def _send_again(self, number: int) -> None:
        sent, video = self._sent.get(number), self.media.video
        if sent is None or video is None or video.rtx_payload_type is None:
            return
        payload = number.to_bytes(2, "big") + sent.payload
        again = sent._replace(
            payload_type=video.rtx_payload_type, ssrc=RTX_SSRC, payload=payload,
            sequence=self._order & 0xFFFF,
        )  # fmt: skip
        if self.random.random() >= self.line.loss:
            self._fly(self.now + TRIP, build_rtp(again))

    # -- what viewers are told ---------------------------------------------------------------

    def parts(self, track: str = VIDEO) -> list[PartReady]:
        return [e for e in self.events if isinstance(e, PartReady) and e.format.track == track]
