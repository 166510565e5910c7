"""Access units to RTP, over a bad network, and back: packetize, jitter, depacketize together."""

import random
from dataclasses import dataclass, field

import pytest

from hotpath.fanout.packetize import H264Packetizer
from hotpath.ingest.depacketize import VideoDepacketizer
from hotpath.ingest.jitter import Arrival, JitterBuffer
from hotpath.ingest.rtp_clock import TrackClock
from hotpath.media.unit import VIDEO, Unit
from hotpath.webrtc.rtp import RtpPacket, build_rtp, parse_rtp
from tests.support.coded import coded

MS = 1_000_000
TRIP = 40 * MS
SOURCE = coded("h264", None, seconds=4)
UNITS = SOURCE.track(VIDEO)


@dataclass
class Line:
    """A sender that keeps what it sent, a network in time order, and the receiver."""

    seed: int
    loss: float
    rtx: bool
    units: list[Unit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.buffer = JitterBuffer(nack=self.rtx)
        self.buffer.set_round_trip(TRIP)
        self.depacketizer = VideoDepacketizer(TrackClock(90_000))
        self.sent: dict[int, RtpPacket] = {}
        self.flying: list[tuple[int, int, bytes]] = []
        self.count = 0

    def send(self, packet: RtpPacket, now: int) -> None:
        """Lost, late by up to 10 ms, or sent twice."""
        for _ in range(2 if self.random.random() < 0.02 else 1):
            if self.random.random() >= self.loss:
                self.count += 1
                delay = TRIP // 2 + self.random.randrange(10 * MS)
                self.flying.append((now + delay, self.count, build_rtp(packet)))

    def run(self, until: int) -> None:
        """Everything that happens up to then, in order."""
        while True:
            deadline = self.buffer.next_deadline()
            due = min(self.flying)[0] if self.flying else until + 1
            now = min(due, deadline if deadline is not None else due)
            if now > until:
                return
            if now == due:
                self.flying.remove(event := min(self.flying))
                packet = parse_rtp(event[2])
                receive = self.buffer.receive_rtx if packet.ssrc == 2 else self.buffer.receive
                receive(packet, now, now)
            self._work(now)

    def _work(self, now: int) -> None:
        for item in self.buffer.poll(now):
            if isinstance(item, Arrival):
                self.units += self.depacketizer.receive(item, now)
            else:
                self.depacketizer.lost()
        for sequence in self.buffer.nacks(now):
            original = self.sent[sequence]
            payload = sequence.to_bytes(2, "big") + original.payload
            self.send(original._replace(ssrc=2, payload=payload), now + TRIP // 2)


def played(seed: int, loss: float, *, rtx: bool) -> Line:
    line = Line(seed, loss, rtx)
    packetizer = H264Packetizer(SOURCE.format(VIDEO))
    sequence = 65_000
    for number, unit in enumerate(UNITS):
        now = number * 100 * MS // 3
        line.run(now)
        payloads = packetizer.payloads(unit)
        for at, payload in enumerate(payloads):
            marker = at == len(payloads) - 1
            packet = RtpPacket(96, marker, sequence & 0xFFFF, unit.pts, 1, payload)
            line.sent[sequence & 0xFFFF] = packet
            line.send(packet, now)
            sequence += 1
    line.run(10_000 * MS)
    return line


def expected() -> list[bytes]:
    depacketizer, units = VideoDepacketizer(TrackClock(90_000)), list[Unit]()
    packetizer = H264Packetizer(SOURCE.format(VIDEO))
    for unit in UNITS:
        payloads = packetizer.payloads(unit)
        for at, payload in enumerate(payloads):
            packet = RtpPacket(96, at == len(payloads) - 1, 0, unit.pts, 1, payload)
            units += depacketizer.receive(Arrival(packet, 0, 0, unit.pts), 0)
    return [unit.data for unit in units]


WHOLE = expected()


@pytest.mark.parametrize("seed", range(5))
def test_with_retransmission_every_frame_comes_through_five_percent_loss(seed: int) -> None:
    line = played(seed, 0.05, rtx=True)
    intact = [unit.data for unit in line.units if not unit.damaged]
    assert len(intact) >= 0.99 * len(WHOLE)
    assert set(intact) <= set(WHOLE)
    assert line.buffer.counts.repaired > 0
    assert line.buffer.next_deadline() is None


@pytest.mark.parametrize("seed", range(10))
def test_without_it_no_frame_that_cannot_be_decoded_passes_as_whole(seed: int) -> None:
    line = played(seed, 0.03, rtx=False)
    assert line.buffer.counts.lost > 0
    index = {data: number for number, data in enumerate(WHOLE)}
    before: int | None = None
    for unit in line.units:
        number = index.get(unit.data)
        if not unit.damaged:
            assert number is not None
            # Decodable: a keyframe, or right behind a whole frame.
            assert unit.keyframe or before == number - 1
        before = None if unit.damaged else number


def test_nothing_is_damaged_on_a_line_that_only_reorders() -> None:
    line = played(1, 0, rtx=True)
    assert [unit.data for unit in line.units] == WHOLE
    assert not any(unit.damaged for unit in line.units)
