"""One WHIP publisher without a network: packets in, units and feedback out."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.ingest.statistics import Publisher
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.ingest.whip_publisher import WhipPublisher
from hotpath.media.unit import AUDIO, VIDEO, Codec
from hotpath.webrtc.rtcp import Fir, Nack, Pli, ReceptionReport, Remb, RtcpEvent, parse_rtcp
from hotpath.webrtc.rtp import RtpPacket, build_rtp
from hotpath.webrtc.sdp import choose_publisher, parse_offer
from tests.support.ingest import RecordingSink
from tests.support.offers import offer

MS = 1_000_000
SECOND = 1_000 * MS
WALL = 1_700_000_000 * SECOND
SPS = bytes.fromhex("6742c01fd900a02ff9610000030001000003003c8f183248")
PPS = bytes.fromhex("68cb8cb2")
IDR, SLICE = b"\x65\x88" + bytes(40), b"\x41\x9a" + bytes(40)
PLAIN = offer("chromium-whip")


@dataclass
class Feed:
    """A publisher by Chromium's offer, and the packets it sends: 30 fps, 20 ms of Opus."""

    sink: RecordingSink = field(default_factory=RecordingSink)
    sent: list[RtcpEvent] = field(default_factory=list)
    text: str = PLAIN

    def __post_init__(self) -> None:
        self.media = choose_publisher(parse_offer(self.text))
        who = Publisher(1, "default", "ev_a", "main", "192.0.2.1:9", 0, "whip")
        self.one = WhipPublisher(
            who,
            self.media,
            self.sink,
            send=lambda packet: self.sent.extend(parse_rtcp(packet)),
            ssrc=99,
            limits=WhipLimits(),
            keyframe_interval_s=2.0,
            now=0,
        )

    def rtp(self, packet: RtpPacket, now: int) -> None:
        self.one.receive_rtp(build_rtp(packet), WALL + now, now)

    def video(self, n: int, *, key: bool = False, ssrc: int = 5, rtx: bool = False) -> None:
        """Frame `n` in one packet (a keyframe: in three), at its time."""
        assert self.media.video is not None
        nals = (SPS, PPS, IDR) if key else (SLICE,)
        for at, nal in enumerate(nals):
            last = at == len(nals) - 1
            packet = RtpPacket(
                self.media.video.payload_type, last, 10 * n + at, 3000 * n, ssrc, nal
            )
            self.rtp(packet, n * 33 * MS)

    def audio(self, n: int) -> None:
        assert self.media.audio is not None
        packet = RtpPacket(
            self.media.audio.payload_type, False, n, 960 * n, 6, b"\xfc\xff\xfe" + bytes(20)
        )
        self.rtp(packet, n * 20 * MS)

    def poll_until(self, end: int, begin: int = 0) -> None:
        for now in range(begin, end, 10 * MS):
            if self.one.next_deadline() <= now:
                self.one.poll(now)

    def of(self, kind: type[RtcpEvent]) -> list[RtcpEvent]:
        return [event for event in self.sent if isinstance(event, kind)]


def sequential(feed: Feed, numbers: range) -> None:
    """Frames whose sequence numbers have no gaps."""
    assert feed.media.video is not None
    for n in numbers:
        packet = RtpPacket(feed.media.video.payload_type, True, 2 + n, 3000 * n, 5, SLICE)
        feed.rtp(packet, n * 33 * MS)


def test_formats_come_before_units_and_again_when_a_track_joins() -> None:
    feed = Feed()
    feed.audio(0)
    feed.poll_until(30 * MS)
    feed.video(0, key=True)
    sequential(feed, range(1, 4))
    first, second = feed.sink.formats[1]
    assert [f.codec for f in first] == [Codec.OPUS]
    assert [(f.track, f.codec) for f in second] == [(VIDEO, Codec.H264), (AUDIO, Codec.OPUS)]
    units = feed.sink.track(1, VIDEO)
    assert [u.keyframe for u in units] == [True, False, False, False]
    assert units[0].ingest_ns == WALL
    assert units[-1].ingest_ns == units[-1].demuxed_ns == WALL + 99 * MS
    assert {b.pts - a.pts for a, b in itertools.pairwise(units)} == {3000}


def test_a_report_is_due_early_and_then_every_second_with_what_browsers_may_send() -> None:
    feed = Feed()
    feed.audio(0)
    feed.video(0, key=True)
    feed.poll_until(5 * SECOND)
    rembs = feed.of(Remb)
    assert len(rembs) == 3 + 4
    assert all(isinstance(r, Remb) and r.bitrate == 4_000_000 for r in rembs)
    reports = [r for r in feed.of(ReceptionReport) if isinstance(r, ReceptionReport)]
    assert {r.ssrc for r in reports} == {5, 6}
    assert {r.reporter for r in reports} == {99}


def test_a_missing_packet_is_asked_for_and_a_retransmission_repairs_it() -> None:
    feed = Feed()
    assert feed.media.video is not None
    feed.video(0, key=True)
    sequential(feed, range(1, 3))
    sequential(feed, range(4, 6))
    feed.poll_until(200 * MS, 170 * MS)
    nacks = feed.of(Nack)
    assert nacks[0] == Nack(5, (2 + 3,))
    assert len(feed.sink.track(1, VIDEO)) == 3
    payload = (2 + 3).to_bytes(2, "big") + SLICE
    rtx = feed.media.video.rtx_payload_type
    assert rtx is not None
    feed.rtp(RtpPacket(rtx, True, 1, 9000, 77, payload), 210 * MS)
    units = feed.sink.track(1, VIDEO)
    assert len(units) == 6
    assert not any(u.damaged for u in units)
    feed.one.check(SECOND, 20 * MS)
    rtp = feed.one.statistics().rtp
    assert (rtp.retransmitted, rtp.missing, rtp.unusable) == (1, 0, 0)


def test_what_is_given_up_damages_the_picture_and_a_keyframe_is_asked_for() -> None:
    feed = Feed()
    feed.video(0, key=True)
    sequential(feed, range(1, 3))
    sequential(feed, range(4, 6))
    feed.poll_until(1200 * MS, 170 * MS)
    assert [u.damaged for u in feed.sink.track(1, VIDEO)] == [False] * 3 + [True] * 2
    assert feed.of(Pli) == [Pli(5)]
    feed.poll_until(6 * SECOND, 1200 * MS)
    assert len(feed.of(Pli)) >= 4
    assert feed.of(Fir)


def test_a_viewer_without_a_picture_has_the_publisher_asked_once_a_second() -> None:
    feed = Feed()
    feed.video(0, key=True)
    feed.poll_until(50 * MS)
    for n in range(20):
        feed.one.request_keyframe((100 + n * 100) * MS)
    assert len(feed.of(Pli)) == 2


def test_another_source_is_taken_only_when_the_first_has_gone_silent() -> None:
    feed = Feed()
    feed.video(0, key=True)
    feed.video(1, key=True, ssrc=8)
    feed.poll_until(50 * MS)
    assert len(feed.sink.track(1, VIDEO)) == 1
    feed.video(60, key=True, ssrc=8)
    feed.poll_until(2050 * MS, 1980 * MS)
    units = feed.sink.track(1, VIDEO)
    assert len(units) == 2
    assert units[1].pts - units[0].pts == pytest.approx(60 * 2970, abs=1)
    feed.one.check(3 * SECOND, None)
    assert feed.one.statistics().rtp.unusable == 3


def test_offers_without_feedback_get_none() -> None:
    lines = [line for line in PLAIN.splitlines() if "rtcp-fb" not in line]
    feed = Feed(text="\r\n".join(lines) + "\r\n")
    feed.video(0, key=True)
    sequential(feed, range(3, 6))
    feed.poll_until(6 * SECOND, 170 * MS)
    assert feed.of(Remb) == feed.of(Pli) == feed.of(Nack) == feed.of(Fir) == []
    assert feed.of(ReceptionReport)


def test_a_stall_is_said_once_and_media_ends_it() -> None:
    feed = Feed()
    feed.video(0, key=True)
    for second in range(1, 9):
        feed.one.check(second * SECOND, None)
    assert [code for _, code, _ in feed.sink.warnings].count("stalled") == 1
    assert feed.one.statistics().stalled
    sequential(feed, range(1, 2))
    assert not feed.one.stalled


@given(st.lists(st.binary(max_size=80), max_size=20), st.booleans())
def test_garbage_from_an_authenticated_peer_is_counted_and_harms_nothing(
    packets: list[bytes], control: bool
) -> None:
    feed = Feed()
    for n, packet in enumerate(packets):
        if control:
            feed.one.receive_rtcp(packet, n * MS)
        else:
            feed.one.receive_rtp(packet, WALL + n * MS, n * MS)
        feed.one.poll(n * MS)
    feed.one.check(SECOND, None)
    feed.one.close()


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_any_payload_under_a_known_type_harms_nothing(payloads: list[bytes]) -> None:
    feed = Feed()
    tracks = [t for t in (feed.media.video, feed.media.audio) if t is not None]
    types = [t.payload_type for t in tracks] + [t.rtx_payload_type or 0 for t in tracks]
    for n, payload in enumerate(payloads):
        packet = RtpPacket(types[n % len(types)], n % 3 == 0, n * 7, n * 1000, n % 2, payload)
        feed.rtp(packet, n * 5 * MS)
    feed.one.check(SECOND, 10 * MS)
    feed.one.close()
